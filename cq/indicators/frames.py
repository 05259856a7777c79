"""Indicators added to a frame of many symbols, in the fastest way that is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
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
        runs = rows["symbol"].rle().struct
        symbols = runs.field("value").n_unique()  # a pass over few runs, not over every row
        if rows.height < LONG * max(1, symbols):
            return grouped(rows.lazy()).collect()
        lengths = runs.field("len").to_list()
        return _side_by_side(rows, lengths if len(lengths) == symbols else None, alone)

    return frame.map_batches(
        run,
        schema=grouped(frame).collect_schema(),
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
    )


def _side_by_side(
    rows: pl.DataFrame, lengths: list[int] | None, add: Callable[[pl.LazyFrame], pl.LazyFrame]
) -> pl.DataFrame:
    """The plan over each symbol's slice, all at once; None where a symbol stands in many pieces."""
    slices = [] if lengths is None else _slices(rows, lengths)
    ordered = lengths is not None and all(one["ts"].is_sorted() for one in slices)
    if not ordered:
        rows = rows.with_row_index(_ROW).sort("symbol", "ts")
        slices = _slices(rows, rows["symbol"].rle().struct.field("len").to_list())
    found = pl.concat(pl.collect_all([add(one.lazy()) for one in slices]), rechunk=False)
    return found if ordered else found.sort(_ROW).drop(_ROW)


def _slices(rows: pl.DataFrame, lengths: list[int]) -> list[pl.DataFrame]:
    """The rows, cut into pieces of these lengths."""
    ends = list(accumulate(lengths))
    return [rows[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
