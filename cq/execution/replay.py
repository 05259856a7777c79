"""Stored bars through the same step, as if they came in one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import polars as pl

from cq.execution.loop import Bar, Stepped, Trader
from cq.utils.time import bar_end


@dataclass(frozen=True)
class Replayed:
    """How far a replay came: steps made now, those made before, and whether it was stopped."""

    steps: int
    before: int
    total: int

    @property
    def finished(self) -> bool:
        """All bars are done."""
        return self.before + self.steps == self.total


def replay(
    trader: Trader,
    bars: pl.DataFrame,
    *,
    stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[Stepped, int, int], None] = lambda *_: None,
) -> Replayed:
    """Step `trader` through `bars`; those that its journal has seen are left out.

    The clock stands at each bar's end, so nothing is ever stale. `stop` is asked between steps.
    """
    total = bars["ts"].n_unique()
    done = max(trader.seen.values(), default=None)
    if done is not None:
        bars = bars.filter(pl.col("ts") > done)
    before, steps = total - bars["ts"].n_unique(), 0
    for ts, at_once in moments(bars):
        if stop():
            break
        stepped = trader.step(ts, at_once, bar_end(ts, trader.terms.interval))
        steps += 1
        on_step(stepped, before + steps, total)
    return Replayed(steps, before, total)


def moments(bars: pl.DataFrame) -> Iterator[tuple[int, dict[str, Bar]]]:
    """The bars of each moment by symbol, oldest moment first."""
    rows = bars.select("ts", "symbol", "open", "close").sort("ts", "symbol").iter_rows()
    for ts, found in groupby(rows, key=itemgetter(0)):
        yield ts, {symbol: Bar(opened, close) for _, symbol, opened, close in found}
