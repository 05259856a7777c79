"""A whole cold `cq backtest` against vectorbt: Parquet in, results on disk, process by process.

Bitcoin's 520,499 minutes of 2018, SMA 240/1440, fee 10 bps, slippage 5 bps, filled at the next
open, all in or all out. Runs alternate; results are first checked to be equal. vectorbt is looked
for in this interpreter, then in the one that CQ_VECTORBT_PYTHON names.
"""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

from measure import in_turn, one_run, report, shared

import cq

HERE = Path(__file__).resolve().parent
DATA = "market/ohlcv/m1_bitfinex_usd_2018.parquet"
FAST, SLOW, FEE, BPS = 240, 1440, 0.001, 5.0
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


def peer() -> str | None:
    """A Python that has vectorbt."""
    if named := os.environ.get("CQ_VECTORBT_PYTHON"):
        return named
    return sys.executable if importlib.util.find_spec("vectorbt") else None


FILL = """
import sys, time, polars as pl
from pathlib import Path
from cq.lake import Lake
from cq.project import create
folder = Path(sys.argv[2])
create(folder)
rows = pl.read_parquet(sys.argv[1]).filter(pl.col("symbol") == "BTCUSD")
rows = rows.with_columns(symbol=pl.lit("BTC-USD"), interval=pl.lit("1m"))
Lake(folder / "lake").write("ohlcv", rows, source="benchmark", now_ns=time.time_ns())
"""
"""Run apart: a process starts with the peak memory of the one that made it."""


def project(folder: Path) -> Path:
    """A project whose lake holds the minutes; cq compiled, as pip compiles what it installs."""
    compileall.compile_dir(cq.__path__[0], quiet=1)
    one_run([sys.executable, "-c", FILL, str(shared(DATA)), str(folder)])
    (folder / "cross.yaml").write_text(STRATEGY)
    return folder


def check_equal(ours: Path, theirs: Path) -> None:
    """The same trades and the same money, before any time is believed."""
    one = json.loads((ours / "metrics.json").read_text())
    other = json.loads((theirs / "metrics.json").read_text())
    for key in ("trades", "total_return", "max_dd", "fees", "hit_rate"):
        if abs(one[key] - other[key]) > 1e-9 * abs(other[key]):
            sys.exit(f"results differ: {key} is {one[key]} here and {other[key]} in vectorbt")
    print(f"equal results: {one['trades']} trades, total return {one['total_return']:.12f}")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(Path(temporary) / "project")
        ours = [
            sys.executable, "-m", "cq", "--project", str(folder), "backtest",
            str(folder / "cross.yaml"), "--out", str(folder / "ours"),
        ]  # fmt: skip
        commands = {"cq --no-report": [*ours, "--no-report"], "cq with report": ours}
        base = "cq --no-report"
        if python := peer():
            base = "vectorbt"
            commands[base] = [
                python, "-W", "ignore", str(HERE / "peers/vectorbt_backtest.py"),
                str(shared(DATA)), "BTCUSD", str(folder / "theirs"), "rust",
                str(FAST), str(SLOW), str(FEE), str(BPS / 1e4),
            ]  # fmt: skip
            for command in (commands["cq --no-report"], commands[base]):
                one_run(command)
            check_equal(folder / "ours", folder / "theirs")
        else:
            print("no vectorbt here (CQ_VECTORBT_PYTHON may name a Python that has it)")
        report(
            "520,499 minutes, Parquet to results (limit: 0.15× vectorbt's time, 0.5× its memory)",
            in_turn(commands, times=7),
            base,
        )


if __name__ == "__main__":
    main()
