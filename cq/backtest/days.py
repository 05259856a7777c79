"""Runs day by day: what most metrics look at, so that minutes and hours can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cq.backtest.intents import Floats, Ints
from cq.backtest.market import Market, last_closes
from cq.utils.time import DAY, YEAR, bars_per_year, interval_ns


class Days(NamedTuple):
    """The UTC days of a run: `rows` is the last bar of each, `ts` its opening.

    A day without a bar repeats the one before: nothing moved. Where bars are longer than a day,
    each of them is one, and `length` and `per_year` are theirs.
    """

    rows: Ints
    ts: Ints
    length: float
    per_year: float

    @classmethod
    def of(cls, ts: Ints, interval: str) -> Days:
        """The days of bars that open at `ts`."""
        if interval_ns(interval) > DAY:
            every = np.arange(ts.size)
            return cls(every, ts, interval_ns(interval) / DAY, bars_per_year(interval))
        nights = np.arange(int(ts[0]) // DAY + 1, int(ts[-1]) // DAY + 2) * DAY
        rows = np.searchsorted(ts, nights) - 1
        return cls(rows, ts[rows], 1.0, YEAR / DAY)


def growth(values: Floats, cash: float) -> Floats:
    """Each day's return, the first one from `cash`; 0 where nothing was left the day before."""
    before = np.concatenate(([cash], values[:-1]))
    return np.where(before > 0, values / np.where(before > 0, before, 1.0) - 1, 0.0)


def until_ruin(returns: Floats) -> Floats:
    """Returns one after the other (along the last axis), 0 from where nothing is left, or less:
    nothing grows out of that. Their product stays where it was then, below zero with debts."""
    lost = np.logical_or.accumulate(np.cumprod(1 + returns, axis=-1) <= 0, axis=-1)
    over = np.zeros_like(lost)
    over[..., 1:] = lost[..., :-1]
    return np.where(over, 0.0, returns)


def equal_weight(markets: Sequence[Market], start: int, days: Days, cash: float) -> Floats:
    """`cash` in equal parts of all symbols, made equal again each day, without costs.

    A symbol is held from the first open of the day on which it comes; until then its part is cash,
    as it is of those who buy and hold.
    """
    moved = np.zeros(days.rows.size)
    for one, last in zip(markets, last_closes(markets, days.ts), strict=True):
        first = int(np.searchsorted(one.ts, start))
        if first == one.ts.size:
            continue
        close = np.where(days.ts >= one.ts[first], last, one.open[first])
        moved += close / np.concatenate((one.open[first : first + 1], close[:-1])) - 1
    return np.asarray(cash * np.cumprod(1 + moved / len(markets)), dtype=np.float64)
