"""A whole cold `cq backtest` against vectorbt and raptorbt: Parquet in, results on disk.

2.6 million generated minutes, Bitcoin's 520,499 of 2018 and the first 20,000 of those, SMA
240/1440, fee 10 bps, slippage 5 bps, filled at the next open, all in or all out. Processes run in
turn; results are first checked to be equal.
CQ_PEERS_PYTHON names a Python that has vectorbt with its Rust engine, raptorbt and pyarrow.
"""

from __future__ import annotations

import compileall
import json
import os
import sys
import tempfile
from pathlib import Path

from measure import in_turn, one_run, report, shared

import cq

HERE = Path(__file__).resolve().parent
DATA = "market/ohlcv/m1_bitfinex_usd_2018.parquet"
BARS = (2_600_000, 520_499, 20_000)
FAST, SLOW, FEE, BPS = 240, 1440, 0.001, 5.0
EQUAL = ("trades", "total_return", "max_dd", "fees", "hit_rate")
STRATEGY = f"""\
kind: crossover
symbols: [BTC-USD]
interval: 1m
fast: {FAST}
slow: {SLOW}
backtest:
  fees: {{taker: {FEE}}}
  slippage: {{bps: {BPS}}}
  quantity_decimals: null
  min_notional: 0
"""


FILL = """
import sys, time, polars as pl
from pathlib import Path
from cq.lake import Lake
from cq.project import create
sys.path.append(sys.argv[4])
from generated import minutes
folder, bars = Path(sys.argv[2]), int(sys.argv[3])
create(folder)
rows = pl.read_parquet(sys.argv[1]).filter(pl.col("symbol") == "BTCUSD").head(bars)
if rows.height < bars:
    rows = pl.DataFrame(minutes(decimals=6, bars=bars)).with_columns(
        symbol=pl.lit("BTCUSD"), exchange=pl.lit("generated")
    )
rows.write_parquet(folder / "given.parquet")
rows = rows.with_columns(symbol=pl.lit("BTC-USD"), interval=pl.lit("1m"))
Lake(folder / "lake").write("ohlcv", rows, source="benchmark", now_ns=time.time_ns())
"""
"""Run apart: a process starts with the peak memory of the one that made it."""


def project(folder: Path, bars: int) -> Path:
    """A project whose lake holds the minutes; cq compiled, as pip compiles what it installs."""
    compileall.compile_dir(cq.__path__[0], quiet=1)
    one_run([sys.executable, "-c", FILL, str(shared(DATA)), str(folder), str(bars), str(HERE)])
    (folder / "cross.yaml").write_text(STRATEGY)
    return folder


def check_equal(name: str, ours: Path, theirs: Path) -> None:
    """The same trades and the same money, before any time is believed."""
    one = json.loads((ours / "metrics.json").read_text())
    other = json.loads((theirs / "metrics.json").read_text())
    for key in [key for key in EQUAL if key in other]:
        if abs(one[key] - other[key]) > 1e-9 * abs(other[key]):
            sys.exit(f"results differ: {key} is {one[key]} here and {other[key]} in {name}")
    print(f"equal to {name}: {one['trades']} trades, total return {one['total_return']:.12f}")


def peers(python: str, folder: Path) -> dict[str, list[str]]:
    """The same crossover elsewhere, each into a folder of its name."""
    rest = [str(number) for number in (FAST, SLOW, FEE, BPS / 1e4)]
    made = {}
    for name, more in (("vectorbt", ["rust"]), ("raptorbt", [])):
        made[name] = [
            python, "-W", "ignore", str(HERE / f"peers/{name}_backtest.py"),
            str(folder / "given.parquet"), "BTCUSD", str(folder / name), *more, *rest,
        ]  # fmt: skip
    return made


def main() -> None:
    for bars in BARS:
        compare(bars)


def compare(bars: int) -> None:
    """Whole processes over so many bars, each into a folder of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(Path(temporary) / "project", bars)
        ours = [
            sys.executable, "-m", "cq", "--project", str(folder), "backtest",
            str(folder / "cross.yaml"), "--out", str(folder / "ours"),
        ]  # fmt: skip
        commands = {"cq --no-report": [*ours, "--no-report"], "cq with report": ours}
        others = peers(python, folder) if (python := os.environ.get("CQ_PEERS_PYTHON")) else {}
        one_run(commands["cq --no-report"])
        for name, command in others.items():
            one_run(command)
            check_equal(name, folder / "ours", folder / name)
        made = in_turn(commands | others, times=7)
        for base in others or ["cq --no-report"]:
            report(f"{bars:,} minutes, Parquet to results, held against {base}", made, base)


if __name__ == "__main__":
    main()
