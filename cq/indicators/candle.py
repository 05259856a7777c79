"""One candle beside those before it: its body, its shadows, and what is usual for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple

import numpy as np

from cq.indicators.arrays import Array
from cq.indicators.windows import sums

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class Usual(NamedTuple):
    """`factor` × the mean body or range of the `period` candles before one."""

    of: Literal["body", "range"]
    period: int
    factor: float


BODY: Final = Usual("body", 10, 1.0)
"""A longer body is long, a shorter one short."""
DOJI: Final = Usual("range", 10, 0.1)
"""Bodies up to this are none."""
TRACE: Final = Usual("range", 10, 0.1)
"""Shadows below this are hardly any."""
NEAR: Final = Usual("range", 5, 0.2)
"""Prices within this are near each other."""
FAR: Final = Usual("range", 5, 0.6)
"""Prices further apart than this are far from each other."""


class Candles:
    """Every run of `rows` bars; `ago(0)` is the newest of each run."""

    def __init__(self, open_: Array, high: Array, low: Array, close: Array, rows: int) -> None:
        self.prices = (open_, high, low, close)
        self.rows = rows
        self.runs = len(close) - rows + 1
        self._means: dict[Usual, Array] = {}

    def ago(self, bars: int) -> Candle:
        """The candle so many bars before the newest of each run."""
        start = self.rows - 1 - bars
        prices = (one[start : start + self.runs] for one in self.prices)
        return Candle(self, bars, *prices)

    def usual(self, what: Usual, bars: int) -> Array:
        """What is usual for the candle of so many bars ago."""
        if what not in self._means:
            open_, high, low, close = self.prices
            size = np.abs(close - open_) if what.of == "body" else high - low
            self._means[what] = what.factor * (sums(size, what.period) / what.period)
        start = self.rows - 1 - bars - what.period
        return self._means[what][start : start + self.runs]

    def gaps(self) -> Mask | None:
        """In which runs a price is missing; None where none is."""
        missing = np.isnan(sum(self.prices))
        if not missing.any():
            return None
        return sums(missing.astype(np.float64), self.rows) > 0


@dataclass(frozen=True)
class Candle:
    """Of every run the candle at one place, as columns."""

    candles: Candles
    bars: int
    open: Array
    high: Array
    low: Array
    close: Array

    @cached_property
    def white(self) -> Mask:
        """Whether it closes no lower than it opened."""
        return self.close >= self.open

    @property
    def black(self) -> Mask:
        """Whether it closes lower than it opened."""
        return ~self.white

    @cached_property
    def body(self) -> Array:
        """How far its close lies from its open."""
        return np.abs(self.close - self.open)

    @cached_property
    def top(self) -> Array:
        """The higher end of its body."""
        return np.maximum(self.open, self.close)

    @cached_property
    def bottom(self) -> Array:
        """The lower end of its body."""
        return np.minimum(self.open, self.close)

    @cached_property
    def upper(self) -> Array:
        """Its upper shadow."""
        return self.high - self.top

    @cached_property
    def lower(self) -> Array:
        """Its lower shadow."""
        return self.bottom - self.low

    def usual(self, what: Usual) -> Array:
        """What was usual before it."""
        return self.candles.usual(what, self.bars)

    @property
    def is_long(self) -> Mask:
        """Whether its body is longer than usual."""
        return self.body > self.usual(BODY)

    @property
    def is_short(self) -> Mask:
        """Whether its body is shorter than usual."""
        return self.body < self.usual(BODY)

    @property
    def is_doji(self) -> Mask:
        """Whether it has next to no body."""
        return self.body <= self.usual(DOJI)

    def is_above(self, other: Candle) -> Mask:
        """Whether its body lies wholly above the other's."""
        return self.bottom > other.top

    def is_below(self, other: Candle) -> Mask:
        """Whether its body lies wholly below the other's."""
        return self.top < other.bottom

    def is_within(self, other: Candle) -> Mask:
        """Whether its body lies inside the other's, touching neither end."""
        return (self.top < other.top) & (self.bottom > other.bottom)
