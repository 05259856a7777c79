"""The lake beside plain Parquet: landing a year of minutes, landing it again, reading a week.

    python benchmarks/lake.py [FILE]      FILE: one-minute bars, ../shared/market by default

Bars to meet: 1 M rows/s and 1.5 GB while landing 1.45 M rows.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import polars as pl
import pyarrow.parquet as pq

from cq import Lake

SHARED = Path(__file__).resolve().parents[2] / "shared/market/ohlcv/m1_bitfinex_usd_2018.parquet"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print one line a measurement, as seconds and as a ratio to plain Parquet."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    rows = pl.read_parquet(source).with_columns(
        symbol=pl.col("symbol").str.replace("USD$", "-USD"), interval=pl.lit("1m")
    )
    with tempfile.TemporaryDirectory() as folder:
        lakes = [Lake(Path(folder) / f"lake{run}") for run in range(3)]

        def land(lake: Lake) -> object:
            return lake.write("ohlcv", rows, source="benchmark", now_ns=1)

        plain = median(
            seconds(lambda: pq.write_table(rows.to_arrow(), Path(folder) / "plain.parquet"))
            for _ in range(3)
        )
        first = [seconds(lambda lake=lake: land(lake)) for lake in lakes]
        again = [seconds(lambda lake=lake: land(lake)) for lake in lakes]
        week = median(
            seconds(lakes[0].bars("BTC-USD", "1m", "2018-05-01", "2018-05-08").collect)
            for _ in range(15)
        )
        scanned = median(
            seconds(
                pl.scan_parquet(f"{folder}/lake0/ohlcv/**/*.parquet", hive_partitioning=False)
                .filter(pl.col("symbol") == "BTC-USD")
                .filter(pl.col("ts").is_between(1525132800 * 10**9, 1525737599 * 10**9))
                .collect
            )
            for _ in range(15)
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, took, ratio in (
        ("plain pyarrow write, one file", plain, 1.0),
        ("land (checked, keyed, synced)", median(first), median(first) / plain),
        ("land the same rows again", median(again), median(again) / plain),
        ("a symbol's week, glob over the lake", scanned, 1.0),
        ("a symbol's week, Lake.bars", week, week / scanned),
    ):
        print(f"{name:38} {took * 1e3:9.1f} ms   {ratio:5.2f}×")
    print(f"{rows.height / median(first) / 1e6:.2f} M rows/s landed; peak {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
