"""What the engine is given: bars and wishes of each symbol, and the rules they trade by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cq.backtest.account import Costs
from cq.backtest.intents import Floats, Ints
from cq.backtest.steps import BLOCK, MANY, least_and_most

LEVELS: Final = ("limit", "trigger", "stop", "take", "trail")
"""What may be said at each bar beside the target, where it is not the same for all."""


class Bounds(NamedTuple):
    """The lowest and the highest of some numbers, and how many of them are NaN."""

    least: float
    most: float
    missing: int


def bounds_of(numbers: Floats) -> Bounds:
    """A block at a time, which is looked at three times; NaN where there is no number."""
    least, most, missing = math.nan, math.nan, 0
    for at in range(0, numbers.size, BLOCK):
        block = numbers[at : at + BLOCK]
        missing += int(np.count_nonzero(np.isnan(block)))
        least, most = np.fmin(least, np.fmin.reduce(block)), np.fmax(most, np.fmax.reduce(block))
    return Bounds(float(least), float(most), missing)


def bounds_of_each(numbers: Floats, edges: Sequence[int]) -> list[Bounds]:
    """The same of the numbers from each edge to the next; short stretches are looked at together.

    They are as many as there are edges, but the last.
    """
    lengths = np.diff(edges)
    if lengths.size < 2 or lengths.min() == 0 or lengths.sum() > MANY:
        return [bounds_of(numbers[a:b]) for a, b in pairwise(edges)]
    whole, starts = numbers[: edges[-1]], list(edges[:-1])
    none = np.isnan(whole)
    return [
        Bounds(least, most, int(np.count_nonzero(none[a:b])))
        for least, most, (a, b) in zip(
            np.fmin.reduceat(whole, starts).tolist(),
            np.fmax.reduceat(whole, starts).tolist(),
            pairwise(edges),
            strict=True,
        )
    ]


class Fine(NamedTuple):
    """Finer bars of the same symbol, oldest first; they say what came first within a bar.

    Those from `begin` on and before `end` lie within each of the market's bars.
    """

    begin: Ints
    end: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats


BARS: Final = ("ts", "open", "close", "target", "high", "low", "volume", "impact", "act")
"""What a market has of each bar, beside levels and finer bars."""


@dataclass(frozen=True)
class Market:
    """One symbol's bars and targets, oldest first; NaN where there is no target.

    `high`, `low` and `volume` are needed by rules that look at them; `impact` is what √quantity
    moves the price by. Where `act` is true the target is acted on although it stayed. `levels`
    holds what each bar says of an order's prices, by LEVELS.
    """

    symbol: str
    ts: Ints
    open: Floats
    close: Floats
    target: Floats
    high: Floats | None = None
    low: Floats | None = None
    volume: Floats | None = None
    impact: Floats | None = None
    act: npt.NDArray[np.bool_] | None = None
    levels: Mapping[str, Floats] = field(default_factory=dict)
    fine: Fine | None = None

    @cached_property
    def steps(self) -> tuple[int, int]:
        """The shortest and the longest time from one bar to the next."""
        return least_and_most(self.ts)

    @cached_property
    def wanted(self) -> Bounds:
        """What its targets lie between."""
        return bounds_of(self.target)

    def knowing(self, steps: tuple[int, int] | None, wanted: Bounds) -> Market:
        """The same, of which these have been found already; None is not known."""
        vars(self)["wanted"] = wanted
        if steps is not None:
            vars(self)["steps"] = steps
        return self

    def since(self, start: int) -> Market:
        """The bars that open from `start` on."""
        first = int(np.searchsorted(self.ts, start))
        if first == 0:
            return self
        cut = {name: column[first:] for name in BARS if (column := getattr(self, name)) is not None}
        levels = {name: column[first:] for name, column in self.levels.items()}
        fine = self.fine
        if fine is not None:
            fine = fine._replace(begin=fine.begin[first:], end=fine.end[first:])
        return replace(self, **cut, levels=levels, fine=fine)

    def at_or_before(self, moments: Ints) -> Ints:
        """For each moment the row of the newest bar that has opened by then; −1 before all."""
        if self.ts is moments:
            return np.arange(moments.size)
        return np.searchsorted(self.ts, moments, side="right") - 1

    def last_close(self, moments: Ints) -> Floats:
        """The newest close at each moment; 0 before the first bar."""
        return next(last_closes([self], moments))


def last_closes(markets: Iterable[Market], moments: Ints) -> Iterator[Floats]:
    """Each market's newest close at each moment; 0 before its first bar."""
    ts: Ints | None = None
    for one in markets:
        if one.ts is moments:
            yield one.close
            continue
        if one.ts is not ts:  # markets often share theirs
            ts, rows = one.ts, one.at_or_before(moments)
            before = rows < 0
            begins = bool(before.any())
        closes = one.close[rows]
        yield np.where(before, 0.0, closes) if begins else closes


class Level(NamedTuple):
    """How far a price lies from another: a `share` of it, a `distance`, or itself a `price`.

    Without a value each bar says its own, in `Market.levels`.
    """

    kind: Literal["share", "distance", "price"]
    value: float | None = None


class Orders(NamedTuple):
    """What is sent for a decision, and what guards the position that it opens.

    An entry by limit lies `limit` below the close of the deciding bar (above it to go short), one
    by stop `trigger` above; a stop-limit's limit lies `limit` beyond its trigger. `stop`, `take`
    and `trail` are measured from the fill that opens the position. 0 of a number of bars is none.
    """

    entry: Literal["market", "limit", "stop", "stop_limit"] = "market"
    limit: Level | None = None
    trigger: Level | None = None
    stop: Level | None = None
    take: Level | None = None
    trail: Level | None = None
    expires: int = 0
    max_bars: int = 0
    cooldown: int = 0
    reentry: Literal["signal", "now"] = "signal"

    @property
    def guarded(self) -> bool:
        """Whether positions have levels."""
        return not (self.stop is self.take is self.trail is None)

    @property
    def within_bars(self) -> bool:
        """Whether highs and lows matter."""
        return self.guarded or self.entry != "market"


class Habits(NamedTuple):
    """Where other engines do otherwise; what stands here by default are our own rules.

    `entry_bar`: a position is held against the bar that opened it. `stop_slips`: a stop pays
    slippage. `from_fill`: levels are measured from the price paid, else from the bar's. `rests`:
    nothing is decided at the close of a bar in which a level closed a position. `stop_first`: a
    stop within the bar comes before a target that the bar opens beyond.
    """

    entry_bar: bool = True
    stop_slips: bool = True
    from_fill: bool = True
    rests: bool = False
    stop_first: bool = False


MARKET_ONLY: Final = Orders()
OWN: Final = Habits()


class Rules(NamedTuple):
    """How decisions become fills.

    `unit` says what a target is of, `latency` how many bars later than the next one a decision is
    carried out; `borrow` is what a short position costs a year, as a fraction of its worth.
    `same_close` fills at the very close that decided, as some engines do (see profiles). With
    `together` the markets are legs of one position: what ends one of them early ends them all.
    """

    cash: float
    costs: Costs
    interval: str
    fill: Literal["next_open", "next_close", "same_close"] = "next_open"
    max_position: float = 1.0
    band: float = 0.0
    unit: Literal["fraction", "units", "notional"] = "fraction"
    latency: int = 0
    allow_short: bool = False
    borrow: float = 0.0
    orders: Orders = MARKET_ONLY
    together: bool = False
    habits: Habits = OWN

    @property
    def path_dependent(self) -> bool:
        """Whether what happens within a bar, or between fills, decides what is traded next."""
        orders, costs = self.orders, self.costs
        return bool(
            orders.within_bars
            or orders.max_bars
            or orders.cooldown
            or costs.participation
            or costs.impact
            or self.allow_short
            or self.unit != "fraction"
            or self.fill == "same_close"
        )
