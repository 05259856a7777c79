"""A whole cold `cq backtest` against vectorbt: Parquet in, results on disk, process by process.

    python benchmarks/backtest.py [--rounds 7] [--vectorbt PYTHON] [--report]

Bitcoin's 520,499 minutes of 2018, SMA 240/1440, fee 10 bps, slippage 5 bps, filled at the next
open, all in or all out. Runs alternate, results are first checked to be equal, and medians and
their ratio are printed, with the peak memory of each process. vectorbt is looked for in this
interpreter, then in the one that CQ_VECTORBT_PYTHON or --vectorbt names.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAST, SLOW, FEE, BPS = 240, 1440, 0.001, 5.0
LIMIT_RATIO, LIMIT_MEMORY = 0.15, 0.5


@dataclass
class Run:
    seconds: float
    megabytes: float


def data() -> Path:
    for folder in ROOT.parents:
        found = folder / "shared/market/ohlcv/m1_bitfinex_usd_2018.parquet"
        if found.is_file():
            return found
    link = ROOT / ".git"
    if link.is_file():
        for folder in Path(link.read_text().partition("gitdir:")[2].strip()).parents:
            found = folder / "shared/market/ohlcv/m1_bitfinex_usd_2018.parquet"
            if found.is_file():
                return found
    sys.exit("no ../shared/market beside the project")


def vectorbt_python(said: str | None) -> str:
    named = said or os.environ.get("CQ_VECTORBT_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("vectorbt"):
        return sys.executable
    sys.exit("no vectorbt here; name a Python that has it with --vectorbt or CQ_VECTORBT_PYTHON")


def made_project(folder: Path) -> Path:
    """A project whose lake holds the minutes, written through the lake's own door."""
    program = (
        "import sys, time, polars as pl\n"
        "from cq import Lake\n"
        "rows = pl.read_parquet(sys.argv[1]).filter(pl.col('symbol') == 'BTCUSD')\n"
        "rows = rows.with_columns(symbol=pl.lit('BTC-USD'), interval=pl.lit('1m'))\n"
        "Lake(sys.argv[2]).write('ohlcv', rows, source='benchmark', now_ns=time.time_ns())\n"
    )
    (folder / "configs").mkdir(parents=True)
    (folder / "configs/default.yaml").write_text((ROOT / "configs/default.yaml").read_text())
    (folder / "cross.yaml").write_text(
        f"kind: crossover\nsymbols: [BTC-USD]\ninterval: 1m\nfast: {FAST}\nslow: {SLOW}\n"
        f"backtest:\n  fees: {{taker: {FEE}}}\n  slippage: {{bps: {BPS}}}\n"
        "  quantity_decimals: null\n  min_notional: 0\n"
    )
    timed([sys.executable, "-c", program, str(data()), str(folder / "lake")])
    return folder


def timed(command: list[str]) -> Run:
    """Run to the end; wall time and this process's own peak memory."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=env())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{command} failed:\n{errors.read().decode()}")
    return Run(seconds, usage.ru_maxrss / 1024)


def env() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


def check_equal(ours: Path, theirs: Path) -> None:
    """The same trades and the same money, before any time is believed."""
    one = json.loads((ours / "metrics.json").read_text())
    other = json.loads((theirs / "metrics.json").read_text())
    for key in ("total_return", "max_dd", "fees", "hit_rate"):
        if abs(one[key] - other[key]) > 1e-9 * max(abs(other[key]), 1e-9):
            sys.exit(f"results differ: {key} is {one[key]} here and {other[key]} in vectorbt")
    if one["trades"] != other["trades"]:
        sys.exit(f"results differ: {one['trades']} trades here, {other['trades']} in vectorbt")
    print(f"equal results: {one['trades']} trades, total return {one['total_return']:.12f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--vectorbt", help="a Python that has vectorbt")
    parser.add_argument("--report", action="store_true", help="also time the run with its report")
    said = parser.parse_args()
    theirs = vectorbt_python(said.vectorbt)
    with tempfile.TemporaryDirectory() as temporary:
        project = made_project(Path(temporary) / "project")
        ours = [
            sys.executable, "-m", "cq", "--project", str(project), "backtest",
            str(project / "cross.yaml"), "--out", str(project / "ours"),
        ]  # fmt: skip
        other = [
            theirs, str(ROOT / "benchmarks/_vectorbt_backtest.py"), str(data()), "BTCUSD",
            str(project / "theirs"), "rust", str(FAST), str(SLOW), str(FEE), str(BPS / 1e4),
        ]  # fmt: skip
        commands = {"cq backtest --no-report": [*ours, "--no-report"], "vectorbt": other}
        if said.report:
            commands["cq backtest"] = ours
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for number in range(said.rounds + 1):
            for name, command in commands.items():
                run = timed(command)
                if number:  # the first round warms the page cache
                    runs[name].append(run)
            if number == 0:
                check_equal(project / "ours", project / "theirs")
    report(runs)


def report(runs: dict[str, list[Run]]) -> None:
    seconds = {name: statistics.median(run.seconds for run in made) for name, made in runs.items()}
    memory = {name: statistics.median(run.megabytes for run in made) for name, made in runs.items()}
    for name in runs:
        ratio, peak = seconds[name] / seconds["vectorbt"], memory[name] / memory["vectorbt"]
        print(
            f"{name:26} {seconds[name]:7.3f} s ({ratio:.3f}×) {memory[name]:7.0f} MB ({peak:.2f}×)"
        )
    ours = "cq backtest --no-report"
    pairs = zip(runs[ours], runs["vectorbt"], strict=True)
    neighbours = statistics.median(one.seconds / other.seconds for one, other in pairs)
    print(f"median ratio of neighbours {neighbours:.3f}")
    print(f"bars: ≤ {LIMIT_RATIO}× the time, ≤ {LIMIT_MEMORY}× the memory")


if __name__ == "__main__":
    main()
