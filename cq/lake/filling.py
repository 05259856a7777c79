"""Bars for buckets that have none, on demand and never unmarked."""

from __future__ import annotations

from typing import Final

import polars as pl

from cq.errors import UsageError
from cq.lake.resample import MONTH
from cq.utils.time import interval_ns

FORWARD: Final = "forward"
FILLS: Final = ("none", FORWARD)
FILLED: Final = "filled"


def check_fill(fill: str) -> None:
    """UsageError where there is no such way to fill."""
    if fill not in FILLS:
        raise UsageError(f"fill={fill!r} is no way to fill; there is {' and '.join(FILLS)}")


def forward_filled(bars: pl.LazyFrame, interval: str) -> pl.LazyFrame:
    """`bars` of one series, oldest first, with one for each bucket between the first and the last.

    A bar that is added has the close before it as its four prices, no volume, and true in the
    column `filled`. A bar off its interval's grid counts for the bucket that it lies in.
    """
    close, is_new = pl.col("close"), pl.col(FILLED)
    flat = {
        name: pl.when(is_new).then(close).otherwise(pl.col(name))
        for name in ("open", "high", "low")
    }
    return (
        bars.with_columns(_opened=_openings(interval))
        .explode("_opened")
        .with_columns((pl.col("_opened") != pl.col("ts")).alias(FILLED))
        .with_columns(
            ts=pl.col("_opened"),
            **flat,
            volume=pl.when(is_new).then(0.0).otherwise(pl.col("volume")),
        )
        .drop("_opened")
        .set_sorted("ts")
    )


def _openings(interval: str) -> pl.Expr:
    """When a bar opens, and every bucket after it that ends before the next bar opens."""
    ts = pl.col("ts")
    following = ts.shift(-1)
    if interval == MONTH:
        last = pl.from_epoch(following.fill_null(ts + 1), "ns")
        months = pl.datetime_ranges(pl.from_epoch(ts, "ns"), last, "1mo", closed="left")
        return months.list.eval(pl.element().dt.epoch("ns"))
    step = interval_ns(interval)
    last = pl.max_horizontal(ts + 1, (following - step + 1).fill_null(ts + 1))
    return pl.int_ranges(ts, last, step)
