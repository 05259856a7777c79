"""Columns of bars as arrays, and what of them is sound; looked at once for all symbols together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl

from cq.backtest.frames import Part
from cq.backtest.intents import Floats
from cq.backtest.market import LEVELS, Bounds, bounds_of, bounds_of_each
from cq.indicators.arrays import in_place

PRICES: Final = ("open", "high", "low", "close")
LONG: Final = 50_000
"""Rows that are looked at together."""
OF_BARS: Final = (*PRICES, "volume", "act")
COLUMNS: Final = ("ts", *OF_BARS, *(f"order_{name}" for name in LEVELS))

Arrays = Mapping[str, Any]


def arrays_of(rows: pl.DataFrame, each: float | None) -> Arrays:
    """What the engine reads of bars, by column; targets are `each` of what stands in theirs."""
    found = {name: array(rows[name]) for name in COLUMNS if name in rows.columns}
    return found | {"target": array(rows["target"], each)}


def of_part(columns: Arrays, part: Part) -> Arrays:
    """The rows of one symbol, not copied."""
    return {name: column[part.begin : part.end] for name, column in columns.items()}


def array(column: pl.Series, each: float | None = None) -> Any:
    """The column, not copied where it need not be; NaN where a float is not there.

    With `each` its whole numbers are counted in that.
    """
    if each is not None:
        return _counted(column, each)
    found = in_place(column) if column.dtype.is_numeric() else None
    if found is not None:
        return found
    return _counted(column, 1.0) if column.dtype == pl.Float64 else column.to_numpy()


def _counted(column: pl.Series, each: float) -> Floats:
    """What the column says, in `each`; NaN where it says nothing, which mostly comes first."""
    found, at = np.empty(column.len()), 0  # numpy's memory comes in large pages
    for chunk in column.get_chunks():
        missing = chunk.null_count()
        rest = chunk.slice(missing)
        if rest.null_count():
            missing, rest = 0, chunk.cast(pl.Float64).fill_null(math.nan)
        part = found[at : at + chunk.len()]
        part[:missing] = math.nan
        np.multiply(rest.to_numpy(), np.float64(each), out=part[missing:])
        at += chunk.len()
    return found


def wanted_of(parts: Sequence[Part], target: Floats) -> list[Bounds]:
    """What the targets of each part lie between; `target` is that of their frame."""
    adjoin = all(one.end == other.begin for one, other in pairwise(parts))
    if adjoin and parts and parts[0].each is None:
        return bounds_of_each(target, [parts[0].begin, *(one.end for one in parts)])
    return [_wanted_of(one, target[one.begin : one.end]) for one in parts]


def _wanted_of(part: Part, target: Floats) -> Bounds:
    if part.each is None:
        return bounds_of(target)
    said: Any = part.rows["target"]
    missing = said.null_count()
    if missing == said.len():
        return Bounds(math.nan, math.nan, missing)
    return Bounds(said.min() * part.each, said.max() * part.each, missing)


def is_sound(rows: pl.DataFrame, names: Sequence[str]) -> bool:
    """Whether the prices among the columns `names` are; nothing is copied where chunks agree."""
    there = [name for name in PRICES if name in names]
    columns = rows.select(there).get_columns()
    if any(one.null_count() for one in columns):
        return False
    if len({tuple(one.chunk_lengths()) for one in columns}) > 1:
        columns = [one.rechunk() for one in columns]
    chunks = zip(*(one.get_chunks() for one in columns), strict=True)
    return all(are_sound({one.name: one.to_numpy() for one in together}) for together in chunks)


def are_sound(columns: Arrays) -> bool:
    """Whether all prices are ordinary numbers above zero, and between their lows and highs."""
    there = [columns[name] for name in PRICES if name in columns]
    return lie_within(*there) if len(there) == len(PRICES) else are_prices(*there)


def are_prices(*columns: Floats) -> bool:
    """Whether all of them are ordinary numbers above zero."""
    return all(one.size == 0 or 0 < one.min() <= one.max() < math.inf for one in columns)


def lie_within(o: Floats, h: Floats, low: Floats, c: Floats) -> bool:
    """Whether they are prices, and those in the middle lie between their lows and highs."""
    for at in range(0, o.size, LONG):
        block = slice(at, at + LONG)
        first, last, least, most = o[block], c[block], low[block], h[block]
        within = (least <= first) & (least <= last) & (first <= most) & (last <= most)
        if not (within.all() and least.min() > 0 and most.max() < math.inf):
            return False
    return True
