"""Indicators added to a frame of many symbols, in the fastest way that is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from cq.indicators.columns import is_one_market, over_symbols
from cq.indicators.stages import in_stages

LONG: Final = 5_000
"""Bars a symbol from which a plan for each symbol is faster than one grouped plan."""

_ROW: Final = "__cq_row"
Make = Callable[[], Mapping[str, pl.Expr]]


def with_indicators(bars: pl.DataFrame | pl.LazyFrame, make: Make) -> pl.LazyFrame:
    """Add the columns that `make` names, each symbol on its own, oldest bar first.

    `make` is a function, so that steps which outputs share (the averages of a MACD) can be put
    aside and computed once: `with_indicators(bars, lambda: macd("close") | {"r": rsi("close")})`.
    A frame without `symbol` is one market, in the order of time. The rows stay where they are.
    Long histories are cut by symbol and computed side by side when the frame is collected,
    short ones in one grouped plan: the same values but for the last bits of float sums.
    """
    frame = bars.lazy()
    alone = in_stages(make, lambda expr: expr)
    if is_one_market() or "symbol" not in frame.collect_schema():
        return alone(frame)
    grouped = in_stages(make, over_symbols)

    def run(rows: pl.DataFrame) -> pl.DataFrame:
        if rows.height < LONG * max(1, rows["symbol"].n_unique()):
            return grouped(rows.lazy()).collect()
        return _side_by_side(rows, alone)

    return frame.map_batches(
        run,
        schema=grouped(frame).collect_schema(),
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
    )


def _side_by_side(rows: pl.DataFrame, add: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
    """The plan over each symbol's slice, all at once."""
    slices = _slices(rows)
    ordered = slices is not None
    if slices is None:
        rows = rows.with_row_index(_ROW).sort("symbol", "ts")
        slices = _slices(rows) or []
    found = pl.concat(pl.collect_all([add(one.lazy()) for one in slices]), rechunk=False)
    return found if ordered else found.sort(_ROW).drop(_ROW)


def _slices(rows: pl.DataFrame) -> list[pl.DataFrame] | None:
    """One slice a symbol; None unless each stands in one piece, oldest bar first."""
    runs = rows["symbol"].rle().struct
    if runs.field("value").n_unique() != len(runs.field("value")):
        return None
    ends = runs.field("len").cum_sum().to_list()
    found = [rows[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return found if all(one["ts"].is_sorted() for one in found) else None
