"""Finer bars into coarser ones: UTC buckets, weeks from Monday 00:00, calendar months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from cq.utils.time import DAY, HOUR, bar_end, from_ns, interval_ns, to_ns

MONDAY: Final = 4 * DAY  # 1970-01-05, the first Monday after the epoch
MONTH: Final = "1M"
PARTS: Final = 2.0**80  # of one, in which floats are counted to be summed
LARGE: Final = 2.0**46
SMALLEST: Final = 2.0**-28  # from there on a float has no bit below 2^-80


def offset(interval: str) -> int:
    """Where the grid of `interval` starts: the epoch, or a Monday for weeks."""
    return MONDAY if interval.endswith("w") else 0


def floor(ts: int, interval: str) -> int:
    """The opening of the bucket of `interval` that holds `ts`."""
    if interval == MONTH:
        opened = from_ns(ts)
        return to_ns(opened.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    return ts - (ts - offset(interval)) % interval_ns(interval)


def ceiling(ts: int, interval: str) -> int:
    """The first bucket of `interval` that opens at or after `ts`."""
    opened = floor(ts, interval)
    return opened if opened == ts else bar_end(opened, interval)


def bucket(ts: pl.Expr, interval: str) -> pl.Expr:
    """`floor` of a column."""
    return _opening(_number(ts, interval), interval)


def _number(ts: pl.Expr, interval: str) -> pl.Expr:
    """Which bucket of `interval` holds `ts`, in the order of time."""
    if interval == MONTH:
        return pl.from_epoch(ts, "ns").dt.truncate("1mo").dt.epoch("ns")
    start = offset(interval)
    return (ts - start if start else ts) // interval_ns(interval)


def _opening(number: pl.Expr, interval: str) -> pl.Expr:
    """When the bucket of that number opens."""
    return number if interval == MONTH else number * interval_ns(interval) + offset(interval)


def closing(ts: pl.Expr, interval: str) -> pl.Expr:
    """When a bar that opens at `ts` closes; a month is as long as the calendar says from there."""
    if interval == MONTH:
        return pl.from_epoch(ts, "ns").dt.offset_by("1mo").dt.epoch("ns")
    return ts + interval_ns(interval)


def divides(finer: str, coarser: str) -> bool:
    """Whether bars of `finer` make up bars of `coarser` exactly."""
    if MONTH in (finer, coarser):
        return finer != MONTH and DAY % interval_ns(finer) == 0
    step = interval_ns(finer)
    if step >= interval_ns(coarser) or interval_ns(coarser) % step:
        return False
    return (offset(coarser) - offset(finer)) % step == 0


def lies_in_folders(interval: str, depth: int) -> bool:
    """Whether no bar of `interval` lies in two calendar folders of so many levels: year to hour."""
    if interval == MONTH:
        return depth <= 2
    return (HOUR if depth > 3 else DAY) % interval_ns(interval) == 0


def exact_sum(values: pl.Expr) -> pl.Expr:
    """The sum of floats, rounded once at its end: the same in any order of adding up.

    Each times 2^80 is a whole number (of amounts below 1e-8 the rest below 1e-24 is cut off), and
    128 bits hold their sum up to 7e13. Larger sums, and those of what is no number, are of floats.
    """
    plain = values.sum()
    whole = (values * PARTS).cast(pl.Int128, strict=False).sum().cast(pl.Float64) / PARTS
    return pl.when(plain.abs() < LARGE).then(whole).otherwise(plain)


def resampled(
    bars: pl.LazyFrame, interval: str, names: Sequence[str] = ("symbol", "exchange")
) -> pl.LazyFrame:
    """Bars of `interval` from finer bars of one symbol that come oldest first.

    `names` are columns of text that have one value; without them it takes a third less time.
    A volume is an `exact_sum`: the streaming engine starts a sum anew in each piece of a file.
    This is what a made bar is; `cq.lake.folding` makes the same of arrays.
    """
    return (
        bars.with_columns(ts=_number(pl.col("ts"), interval).set_sorted())
        .group_by("ts", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            exact_sum(pl.col("volume")),
            *(pl.col(name).first() for name in names),
        )
        .with_columns(ts=_opening(pl.col("ts"), interval))
    )
