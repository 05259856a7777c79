"""Positions that begin with one event, end with another, and never last longer than so many bars.

The limit is what makes them honest: whether a position is held then follows from a window of bars,
so that live trading, which sees no more, decides as all of history would.
"""

from __future__ import annotations

import polars as pl


def looked_back(most: int) -> int:
    """Bars on whose events `held` depends, the current one included."""
    return 2 * most


def fresh(enter: pl.Expr, leave: pl.Expr, most: int) -> pl.Expr:
    """Whether `enter` begins a position at this bar; for one symbol, in the order of time.

    It does unless the newest event of the `most` bars before is an entry as well: a second entry
    prolongs nothing, and after a position has run out the next needs a `leave`, or quiet, first.
    """
    event = pl.when(leave).then(0).when(enter).then(1)
    before = event.shift(1).forward_fill(limit=most - 1)
    return enter.fill_null(False) & ~leave.fill_null(False) & (before.fill_null(0) == 0)


def held(begins: pl.Expr, leave: pl.Expr, most: int, cap: pl.Expr | None = None) -> pl.Expr:
    """Whether a position that began (see `fresh`) is still there; for one symbol, in time order.

    It ends at `leave`, and after `most` bars; with `cap` after as many as that said when it began.
    """
    state = pl.when(leave).then(0).when(begins).then(1)
    inside = (state.forward_fill(limit=most - 1) == 1).fill_null(False)
    if cap is None:
        return inside
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    ends = pl.when(begins).then(row + cap).forward_fill(limit=most - 1)
    return inside & (row < ends).fill_null(False)
