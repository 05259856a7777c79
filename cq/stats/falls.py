"""The falls of a curve, each with its depth and its length."""

from __future__ import annotations

import polars as pl

from cq.errors import UsageError


def drawdowns(curve: pl.DataFrame, value: str = "equity") -> pl.DataFrame:
    """One row a fall below an earlier high of `value`, deepest first.

    `peak_ts`, `trough_ts`, `recovered_ts` (null where it is not made up for yet), `depth` (a
    negative fraction), `bars` from the peak to the recovery or the end, `bars_to_trough`. Needs a
    column `ts`, in rising order, and values above zero.
    """
    ts, values = curve["ts"], curve[value]
    if not ts.is_sorted() or bool((values <= 0).any()) or values.null_count():
        raise UsageError(f"a curve needs rising ts and {value} above zero on each row")
    rows = curve.select("ts", value, peak=pl.col(value).cum_max()).with_columns(
        below=pl.col(value) < pl.col("peak")
    )
    # a fall begins where the curve is first below its high, and ends where it is not any more
    begun = pl.col("below") & ~pl.col("below").shift(1, fill_value=False)
    falls = (
        rows.with_columns(
            fall=begun.cum_sum(),
            before_ts=pl.col("ts").shift(1),
            after_ts=pl.col("ts").shift(-1),
        )
        .filter("below")
        .group_by("fall", maintain_order=True)
        .agg(
            peak_ts=pl.col("before_ts").first(),
            trough_ts=pl.col("ts").get(pl.col(value).arg_min()),
            recovered_ts=pl.col("after_ts").last(),
            depth=(pl.col(value) / pl.col("peak")).min() - 1,
            bars=pl.len() + pl.col("after_ts").last().is_not_null(),
            bars_to_trough=pl.col(value).arg_min() + 1,
        )
    )
    return falls.drop("fall").sort("depth", "peak_ts")


def max_drawdown(curve: pl.DataFrame, value: str = "equity") -> float:
    """The deepest fall as a negative fraction; 0 where the curve never fell."""
    lowest = curve.select((pl.col(value) / pl.col(value).cum_max()).min()).item()
    return 0.0 if lowest is None else float(lowest) - 1
