"""Features of coarser bars: each bar sees the newest coarser one that had closed by its close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from cq.indicators import in_time_order
from cq.indicators.stages import in_stages
from cq.lake.resample import bucket, closing

if TYPE_CHECKING:
    from cq.features.pipelines import Step

BUCKET_COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")
_ROW, _KNOWN = "__cq_row", "__cq_known_ts"


def with_coarser(
    bars: pl.LazyFrame, interval: str, coarse: str, steps: Sequence[Step]
) -> pl.LazyFrame:
    """`bars` of `interval` with the columns that `steps` make of bars of `coarse`.

    A coarser bar is known from its end on. The first one of each symbol is left out: it may have
    begun before the first bar that is there, and would be another with more history.
    """
    columns = [column for one in steps for column in one.columns.values()]
    made = _made(_buckets(bars, coarse), steps).select(
        "symbol", *columns, **{_KNOWN: closing(pl.col("ts"), coarse)}
    )
    rows = bars.with_row_index(_ROW).with_columns(**{_KNOWN: closing(pl.col("ts"), interval)})
    joined = rows.sort(_KNOWN).join_asof(
        made.sort(_KNOWN), on=_KNOWN, by="symbol", strategy="backward", check_sortedness=False
    )
    return joined.sort(_ROW).drop(_ROW, _KNOWN)


def _buckets(bars: pl.LazyFrame, coarse: str) -> pl.LazyFrame:
    """Coarser bars of every symbol, by (symbol, ts), without the first of each."""
    there = set(bars.collect_schema().names())
    rules = {
        "open": pl.col("open").first(),
        "high": pl.col("high").max(),
        "low": pl.col("low").min(),
        "close": pl.col("close").last(),
        "volume": pl.col("volume").sum(),
    }
    return (
        bars.sort("symbol", "ts")
        .with_columns(ts=bucket(pl.col("ts"), coarse))
        .group_by("symbol", "ts", maintain_order=True)
        .agg(**{name: rule for name, rule in rules.items() if name in there})
        .filter(pl.col("ts") > pl.col("ts").first().over("symbol"))
    )


def _made(coarse: pl.LazyFrame, steps: Sequence[Step]) -> pl.LazyFrame:
    def make() -> dict[str, pl.Expr]:
        return {name: expr for one in steps for name, expr in one.expressions().items()}

    return in_stages(make, in_time_order)(coarse)
