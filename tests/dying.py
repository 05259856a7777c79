"""Pieces of work on a lake that tests end in the middle; `doors.Deadly` forks to do them."""

from __future__ import annotations

import random

import polars as pl

from cq.lake import Lake, swap
from cq.lake.compaction import compact as compacting

swap.LINGER_S = 0
HOUR = 3_600_000_000_000
START = 1_700_000_000_000_000_000 // HOUR * HOUR
MONTHLY = "ohlcv/symbol={symbol}/year={YYYY}/month={MM}/file-{HHmmss}.parquet"


def bars(first: int, count: int, symbol: str = "BTC-BRL", price: float = 2.0) -> pl.DataFrame:
    """`count` hourly bars from the hour `first` on; each row differs from the others."""
    hours = range(first, first + count)
    return pl.DataFrame(
        {
            "ts": [START + one * HOUR for one in hours],
            "open": [price + one / 1000 for one in hours],
            "high": [price + 9.0] * count,
            "low": [1.0] * count,
            "close": [price] * count,
            "volume": [float(one) for one in hours],
        }
    ).with_columns(symbol=pl.lit(symbol), exchange=pl.lit("x"), interval=pl.lit("1h"))


def write(root: str, first: int, count: int, symbol: str = "BTC-BRL") -> None:
    Lake(root).write("ohlcv", bars(first, count, symbol), source=f"at {first}", now_ns=first)


def replace(root: str, first: int, count: int) -> None:
    """Other bars of these hours, in the place of those that are there."""
    Lake(root).replace("ohlcv", bars(first, count, price=3.0), source="better", now_ns=1)


def compact(root: str) -> None:
    compacting(Lake(root), small_mb=1, large_mb=4)


def churn(root: str, seed: int, until: int) -> None:
    """Write hours 0 to `until` of two symbols, in any order and twice, and compact, for ever."""
    chosen = random.Random(seed)
    while True:
        first = chosen.randrange(until)
        write(root, first, min(chosen.randint(1, 60), until - first), chosen.choice(SYMBOLS))
        if chosen.random() < 0.5:
            compact(root)


SYMBOLS = ("BTC-BRL", "ETH-BRL")
