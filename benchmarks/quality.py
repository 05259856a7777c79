"""All checks over a year of one-minute bars, in order, beside the time that decoding them takes.

    python benchmarks/quality.py [SYMBOLS] [YEARS]      50 symbols and one year: 26 M bars

Bars to meet: 20 M bars/s for a full run on 2 cores, below 2 GB for 50 M bars (two years). The real
minutes of ../shared/market come after it, where they are: they have holes and leaps to look at.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from cq import Lake
from cq.lake import parquet
from cq.lake.datasets import OHLCV
from cq.lake.quality import run_checks
from cq.utils.time import MINUTE, parse_time

REAL = Path(__file__).resolve().parents[2] / "shared/market/ohlcv/m1_bitfinex_usd_2018.parquet"
RUNS = 3


def year(symbol: int, start: int, minutes: int) -> pl.DataFrame:
    """A year of minutes in order: a bridge on a tick of 0.01, opens at the close before."""
    draw = np.random.default_rng(symbol + start % 1000)
    steps = draw.standard_t(4, minutes) * 0.0004
    bridge = np.cumsum(steps) - np.linspace(0, steps.sum(), minutes)
    close = np.round(100 * (1 + symbol) * np.exp(bridge), 2)
    opens = np.concatenate([close[:1], close[:-1]])
    wicks = np.abs(draw.normal(0, 0.0003, (2, minutes)))
    top, bottom = np.maximum(opens, close), np.minimum(opens, close)
    return pl.DataFrame(
        {
            "ts": start + np.arange(minutes) * MINUTE,
            "open": opens,
            "high": np.maximum(np.round(top * (1 + wicks[0]), 2), top),
            "low": np.minimum(np.round(bottom * (1 - wicks[1]), 2), bottom),
            "close": close,
            "volume": np.round(draw.lognormal(0, 1, minutes) + 0.0001, 4),
        }
    ).with_columns(
        symbol=pl.lit(f"C{symbol:02d}-BRL"),
        exchange=pl.lit("generated"),
        interval=pl.lit("1m"),
    )


def fill(lake: Lake, rows: pl.DataFrame) -> None:
    """Put bars of one series and year where the lake has them, as one file."""
    content = parquet.encoded(OHLCV.conform(rows))
    layout, first = lake.layouts["ohlcv"], rows.item(0, "ts")
    folder = lake.root / layout.folder({name: rows.item(0, name) for name in OHLCV.owner}, first)
    parquet.place(content, folder, layout.file_name(first, parquet.digest(content)))


def report(name: str, lake: Lake, now_ns: int) -> None:
    """Print how long decoding and the checks take, in turn, and what the checks found."""
    columns = ["ts", "open", "high", "low", "close", "volume"]
    paths = lake.layouts["ohlcv"].paths(lake.root)
    decoding, checking = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        rows = pl.scan_parquet(paths, hive_partitioning=False).select(
            pl.len(), pl.col(columns).max()
        ).collect()  # fmt: skip
        decoded = time.perf_counter()
        found = run_checks(lake, now_ns=now_ns)
        decoding.append(decoded - began)
        checking.append(time.perf_counter() - decoded)
    bars, took = rows.item(0, "len"), min(checking)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    hits = {one.check: one.rows for one in found.checks if one.rows}
    print(
        f"{name:12} {bars:>11,} bars  {took:6.2f} s  {bars / took / 1e6:6.1f} M bars/s  "
        f"{took / min(decoding):4.1f}× decoding  peak {peak:,.0f} MiB  {hits or 'nothing found'}"
    )


def main() -> None:
    """Fill a lake, run the checks, print bars a second."""
    symbols, years = (int(one) for one in (*sys.argv[1:], "50", "1")[:2])
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        lake.prepare()
        end = 0
        for number in range(years):
            start = parse_time(f"{2023 - number}-01-01")
            end = end or start + 525_600 * MINUTE
            for symbol in range(symbols):
                fill(lake, year(symbol, start, 525_600))
        report("generated", lake, end)
    if REAL.exists():
        rows = pl.read_parquet(REAL).with_columns(
            symbol=pl.col("symbol").str.replace("USD$", "-USD"), interval=pl.lit("1m")
        )
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake(Path(folder) / "lake")
            lake.write("ohlcv", rows, source="benchmark", now_ns=1)
            report("bitfinex", lake, int(rows["ts"].max()) + MINUTE)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
