"""Candle patterns: 100 where a bar completes a rising one, −100 a falling one, 0 elsewhere.

Each is TA-Lib's, to the letter. What is long, short or near is measured against the candles
before (`cq.indicators.candle`). They say what bars look like, not what prices do next.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from cq.indicators.arrays import Array
from cq.indicators.candle import NEAR, TRACE, Candles, Mask
from cq.indicators.columns import Column, column
from cq.indicators.registry import Indicator, indicator
from cq.indicators.windows import windowed

Shape = Callable[[Candles], Array]
PATTERNS: Final[dict[str, tuple[Shape, str]]] = {}
"""By name what finds a pattern, and what TA-Lib calls it."""


@dataclass(frozen=True)
class Pattern:
    """What finds a pattern, as a plan holds it: by its name."""

    name: str

    def __call__(self, open_: Array, high: Array, low: Array, close: Array, rows: int) -> Array:
        """100, −100 or 0 for the last bar of each run of `rows`; NaN where a price is missing."""
        candles = Candles(open_, high, low, close, rows)
        found = PATTERNS[self.name][0](candles)
        if (gaps := candles.gaps()) is not None:
            found[gaps] = np.nan
        return found


Made = Indicator[[Column, Column, Column, Column], pl.Expr]


def candle(talib: str, bars: int) -> Callable[[Shape], Made]:
    """List the pattern, which looks at `bars` bars, its own included."""

    def listed(shape: Shape) -> Made:
        PATTERNS[shape.__name__] = shape, talib

        def made(open: Column, high: Column, low: Column, close: Column) -> pl.Expr:  # noqa: A002
            prices = [column(one) for one in (open, high, low, close)]
            return windowed(Pattern(shape.__name__), prices, bars).cast(pl.Int8)

        made.__name__ = shape.__name__
        made.__doc__ = (
            f"{inspect.cleandoc(shape.__doc__ or '')}\n\n"
            f"Null for {bars - 1} bars, and while a null is in sight. Source: TA-Lib {talib}."
        )
        return indicator("candles", "oscillator", lambda: bars, (-100.0, 100.0))(made)

    return listed


def rising(where: Mask) -> Array:
    """100 where it is so."""
    return np.where(where, 100.0, 0.0)


def falling(where: Mask) -> Array:
    """−100 where it is so."""
    return np.where(where, -100.0, 0.0)


@candle("CDLDOJI", 11)
def doji(candles: Candles) -> Array:
    """A candle with next to no body, at most a tenth of the mean range of ten candles: 100."""
    return rising(candles.ago(0).is_doji)


@candle("CDLDRAGONFLYDOJI", 11)
def dragonfly_doji(candles: Candles) -> Array:
    """A doji at the top of its range, with a lower shadow and hardly an upper one: 100."""
    it = candles.ago(0)
    trace = it.usual(TRACE)
    return rising(it.is_doji & (it.upper < trace) & (it.lower > trace))


@candle("CDLGRAVESTONEDOJI", 11)
def gravestone_doji(candles: Candles) -> Array:
    """A doji at the bottom of its range, with an upper shadow and hardly a lower one: 100."""
    it = candles.ago(0)
    trace = it.usual(TRACE)
    return rising(it.is_doji & (it.lower < trace) & (it.upper > trace))


@candle("CDLLONGLEGGEDDOJI", 11)
def long_legged_doji(candles: Candles) -> Array:
    """A doji with a shadow longer than its body: 100."""
    it = candles.ago(0)
    return rising(it.is_doji & ((it.lower > it.body) | (it.upper > it.body)))


@candle("CDLMARUBOZU", 11)
def marubozu(candles: Candles) -> Array:
    """A long body with hardly a shadow: 100 where it rises, −100 where it falls."""
    it = candles.ago(0)
    trace = it.usual(TRACE)
    bare = it.is_long & (it.upper < trace) & (it.lower < trace)
    return rising(bare & it.white) + falling(bare & it.black)


@candle("CDLSPINNINGTOP", 11)
def spinning_top(candles: Candles) -> Array:
    """A small body between two shadows longer than itself: 100 white, −100 black."""
    it = candles.ago(0)
    found = it.is_short & (it.upper > it.body) & (it.lower > it.body)
    return rising(found & it.white) + falling(found & it.black)


@candle("CDLHAMMER", 12)
def hammer(candles: Candles) -> Array:
    """A small body at or below the low before, over a lower shadow longer than itself: 100.

    Near counts; hardly an upper shadow. After a fall it is said to turn it.
    """
    before = candles.ago(1)
    return rising(_hangs(candles) & (candles.ago(0).bottom <= before.low + before.usual(NEAR)))


@candle("CDLHANGINGMAN", 12)
def hanging_man(candles: Candles) -> Array:
    """A hammer at or above the high before: −100. Near counts."""
    before = candles.ago(1)
    return falling(_hangs(candles) & (candles.ago(0).bottom >= before.high - before.usual(NEAR)))


@candle("CDLINVERTEDHAMMER", 12)
def inverted_hammer(candles: Candles) -> Array:
    """A small body wholly below the one before, under a long upper shadow, hardly a lower: 100."""
    return rising(_stands(candles) & candles.ago(0).is_below(candles.ago(1)))


@candle("CDLSHOOTINGSTAR", 12)
def shooting_star(candles: Candles) -> Array:
    """A small body wholly above the one before, under a long upper shadow, hardly a lower: −100."""
    return falling(_stands(candles) & candles.ago(0).is_above(candles.ago(1)))


def _hangs(candles: Candles) -> Mask:
    """A small body over a longer lower shadow, with hardly an upper one."""
    it = candles.ago(0)
    return it.is_short & (it.lower > it.body) & (it.upper < it.usual(TRACE))


def _stands(candles: Candles) -> Mask:
    """A small body under a longer upper shadow, with hardly a lower one."""
    it = candles.ago(0)
    return it.is_short & (it.upper > it.body) & (it.lower < it.usual(TRACE))
