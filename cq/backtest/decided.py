"""Decisions that come in a frame of their own, put beside the bars at whose close they are made."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl

from cq.backtest.frames import Ordered
from cq.backtest.given import tidied
from cq.errors import DataError, UsageError
from cq.utils.time import iso

DECISION: Final = ("ts", "symbol", "target")


def decisions(said: Any) -> Ordered:
    """The rows of a frame of targets (ts, symbol, target, prices of orders), symbol by symbol.

    DataError where one is made twice.
    """
    decided = tidied(said, DECISION, "the frame of targets", "targets")
    for name, (a, b), (least, _) in zip(
        decided.names, pairwise(decided.edges), decided.steps, strict=True
    ):
        if least == 0:
            ts = decided.rows["ts"][a:b]
            twice = int(ts.filter(ts.is_duplicated())[0])
            raise DataError(f"the frame of targets has two of {name} at {iso(twice)}")
    return decided


def beside(bars: Ordered, decided: Ordered) -> Ordered:
    """`bars` with the columns of what was decided at some of them; null at the others.

    DataError where a decision lies at no bar of its symbol.
    """
    made = [name for name in decided.rows.columns if name not in ("ts", "symbol")]
    if both := [name for name in made if name in bars.rows.columns]:
        raise UsageError(
            f"the bars have a column {both[0]}, and so has the frame of targets; leave one out"
        )
    rows, height = _rows(bars, decided), bars.rows.height
    return bars.with_rows(
        bars.rows.with_columns(_spread(decided.rows[name], rows, height) for name in made)
    )


def _spread(column: pl.Series, rows: Any, height: int) -> pl.Series:
    """The values at these rows of so many; null at the others."""
    if column.dtype == pl.Float64:
        found = pl.repeat(None, height, dtype=pl.Float64, eager=True).scatter(rows, column)
        return found.alias(column.name)
    places = pl.repeat(None, height, dtype=pl.UInt32, eager=True)
    return column.gather(places.scatter(rows, np.arange(column.len(), dtype=np.uint32)))


def _rows(bars: Ordered, decided: Ordered) -> Any:
    """The row of the bar that each decision belongs to."""
    ts, moments = bars.rows["ts"].to_numpy(), decided.rows["ts"].to_numpy()
    spans = dict(zip(bars.names, pairwise(bars.edges), strict=True))
    found = np.empty(moments.size, dtype=np.int64)
    for name, (a, b) in zip(decided.names, pairwise(decided.edges), strict=True):
        if name not in spans:
            raise DataError(f"there are targets of {name}, and no bars of it")
        first, last = spans[name]
        found[a:b] = first + ts[first:last].searchsorted(moments[a:b])
    there = ts.take(found, mode="clip") == moments
    there &= _ends(bars, decided) > found
    if not there.all():
        _refuse(decided, there)
    return found


def _ends(bars: Ordered, decided: Ordered) -> Any:
    """For each decision the first row that is no longer of its symbol's bars."""
    ends = dict(zip(bars.names, bars.edges[1:], strict=True))
    counts = [b - a for a, b in pairwise(decided.edges)]
    return np.repeat([ends[name] for name in decided.names], counts)


def _refuse(decided: Ordered, there: Any) -> None:
    for name, (a, b) in zip(decided.names, pairwise(decided.edges), strict=True):
        lost = ~there[a:b]
        if lost.any():
            first = int(decided.rows["ts"][a + int(lost.argmax())])
            raise DataError(
                f"{int(lost.sum())} targets of {name} lie at no bar, first {iso(first)}; a target "
                "has the ts of the bar at whose close it is decided"
            )
