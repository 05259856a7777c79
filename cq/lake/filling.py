"""Bars for buckets that have none, on demand and never unmarked."""

from __future__ import annotations

from typing import Final

import polars as pl

from cq.errors import UsageError
from cq.lake.resample import MONTH, bucket, offset
from cq.utils.time import DAY, HOUR, interval_ns

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
    column `filled`. A bar off its interval's grid counts for the bucket that it lies in; days and
    weeks begin where most of the bars do, and up to an hour before (summer time).
    """
    ts, opened, close, is_new = (pl.col(name) for name in ("ts", "_opened", "close", FILLED))
    this = bucket(ts, interval) if interval == MONTH else _on_grid(ts, interval)
    flat = {
        name: pl.when(is_new).then(close).otherwise(pl.col(name))
        for name in ("open", "high", "low")
    }
    return (
        bars.with_columns(_this=this)
        .with_columns(_opened=_buckets(pl.col("_this"), interval))
        .explode("_opened")
        .with_columns((opened > pl.col("_this")).alias(FILLED))
        .with_columns(
            **flat,
            ts=pl.when(is_new).then(opened).otherwise(ts),
            volume=pl.when(is_new).then(0.0).otherwise(pl.col("volume")),
        )
        .drop("_this", "_opened")
        .set_sorted("ts")
    )


def _buckets(this: pl.Expr, interval: str) -> pl.Expr:
    """When the bucket of a bar opens, and every one after it up to that of the next bar."""
    # always the bar's own, also where the next bar lies in the same bucket
    last = pl.max_horizontal(this + 1, this.shift(-1))
    if interval != MONTH:
        return pl.int_ranges(this, last, interval_ns(interval))
    first, last = pl.from_epoch(this, "ns"), pl.from_epoch(last, "ns")
    months = pl.datetime_ranges(first, last, "1mo", closed="left")
    return months.list.eval(pl.element().dt.epoch("ns"))


def _on_grid(ts: pl.Expr, interval: str) -> pl.Expr:
    """When the bucket that holds `ts` opens, on the grid that `gaps` has of such bars."""
    step, phase, early = interval_ns(interval), pl.lit(offset(interval)), 0
    if step >= DAY:
        phase, early = phase + ((ts - offset(interval)) % step).mode().min(), HOUR
    return (ts + early - phase) // step * step + phase
