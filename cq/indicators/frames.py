"""Indicators added to a frame of many symbols, in the fastest way that is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from cq.indicators.columns import over_symbols
from cq.indicators.stages import in_stages

LONG: Final = 5_000
"""Bars a symbol from which a plan for each symbol is faster than one grouped plan."""

_ROW: Final = "__cq_row"
Make = Callable[[], Mapping[str, pl.Expr]]


def with_indicators(bars: pl.DataFrame | pl.LazyFrame, make: Make) -> pl.LazyFrame:
    """Add the columns that `make` names, each symbol on its own, oldest bar first.

    `make` is a function, so that steps which outputs share (the averages of a MACD) can be put
    aside and computed once: `with_indicators(bars, lambda: macd("close") | {"r": rsi("close")})`.
    The rows stay where they are. Long histories are cut by symbol and computed side by side,
    short ones in one grouped plan: the same values but for the last bits of float sums.
    """
    frame = bars.lazy()
    alone = in_stages(make, lambda expr: expr)
    grouped = in_stages(make, over_symbols)
    schema = grouped(frame).collect_schema()

    def run(rows: pl.DataFrame) -> pl.DataFrame:
        if rows.height < LONG * max(1, rows["symbol"].n_unique()):
            return grouped(rows.lazy()).collect()
        return _side_by_side(rows, alone)

    return frame.map_batches(
        run,
        schema=schema,
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
    )


def _side_by_side(rows: pl.DataFrame, add: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
    """The plan over each symbol's slice, all at once."""
    ordered = _ordered(rows)
    if not ordered:
        rows = rows.with_row_index(_ROW).sort("symbol", "ts")
    bounds = rows["symbol"].rle().struct.field("len").cum_sum().to_list()
    starts = [0, *bounds[:-1]]
    slices = [rows.slice(a, b - a).lazy() for a, b in zip(starts, bounds, strict=True)]
    found = pl.concat(pl.collect_all([add(one) for one in slices]))
    return found if ordered else found.sort(_ROW).drop(_ROW)


def _ordered(rows: pl.DataFrame) -> bool:
    """Whether each symbol stands in one piece, oldest bar first."""
    runs = rows["symbol"].rle().struct.field("value")
    if runs.n_unique() != len(runs):
        return False
    backward = (pl.col("ts").diff() < 0) & (pl.col("symbol") == pl.col("symbol").shift(1))
    return not rows.select(backward.any()).item()
