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
from cq.indicators.candle import FAR, NEAR, TRACE, Candles, Mask
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


@candle("CDLENGULFING", 3)
def engulfing(candles: Candles) -> Array:
    """A body around the one before it, of the other colour: 100 white, −100 black.

    80 and −80 where they share an end.
    """
    it, before = candles.ago(0), candles.ago(1)
    around = (it.top >= before.top) & (it.bottom < before.bottom)
    around |= (it.top > before.top) & (it.bottom <= before.bottom)
    shared = (it.open == before.close) | (it.close == before.open)
    size = np.where(shared, 0.8, 1.0)
    up, down = it.white & before.black, it.black & before.white
    return (rising(around & up) + falling(around & down)) * size


@candle("CDLHARAMI", 12)
def harami(candles: Candles) -> Array:
    """A small body inside a long one: 100 in a black one, −100 in a white one.

    80 and −80 where they share an end.
    """
    return _inside(candles, ~candles.ago(0).is_long)


@candle("CDLHARAMICROSS", 12)
def harami_cross(candles: Candles) -> Array:
    """A doji inside a long body: 100 in a black one, −100 in a white one.

    80 and −80 where they share an end.
    """
    return _inside(candles, candles.ago(0).is_doji)


@candle("CDLDOJISTAR", 12)
def doji_star(candles: Candles) -> Array:
    """A doji beyond a long body: 100 below a black one, −100 above a white one."""
    it, before = candles.ago(0), candles.ago(1)
    star = before.is_long & it.is_doji
    up, down = star & before.black & it.is_below(before), star & before.white & it.is_above(before)
    return rising(up) + falling(down)


@candle("CDLPIERCING", 12)
def piercing(candles: Candles) -> Array:
    """A long white body after a long black one, from below its low to above its middle: 100."""
    it, before = candles.ago(0), candles.ago(1)
    bodies = before.black & before.is_long & it.white & it.is_long
    reach = (it.close < before.open) & (it.close > before.close + before.body * 0.5)
    return rising(bodies & (it.open < before.low) & reach)


@candle("CDLDARKCLOUDCOVER", 12)
def dark_cloud_cover(candles: Candles) -> Array:
    """A black body after a long white one, from above its high to below its middle: −100."""
    it, before = candles.ago(0), candles.ago(1)
    bodies = before.white & before.is_long & it.black
    reach = (it.close > before.open) & (it.close < before.close - before.body * 0.5)
    return falling(bodies & (it.open > before.high) & reach)


@candle("CDLMORNINGSTAR", 13)
def morning_star(candles: Candles) -> Array:
    """A long black body, a small one below it, and a white one far into the first: 100.

    It closes more than 30 % of the first body above that one's close.
    """
    first, star, it = (candles.ago(bars) for bars in (2, 1, 0))
    found = first.is_long & first.black & ~star.is_long & star.is_below(first)
    return rising(found & it.is_long & it.white & (it.close > first.close + first.body * 0.3))


@candle("CDLEVENINGSTAR", 13)
def evening_star(candles: Candles) -> Array:
    """A long white body, a small one above it, and a black one far into the first: −100.

    It closes more than 30 % of the first body below that one's close.
    """
    first, star, it = (candles.ago(bars) for bars in (2, 1, 0))
    found = first.is_long & first.white & ~star.is_long & star.is_above(first)
    return falling(found & it.is_long & it.black & (it.close < first.close - first.body * 0.3))


@candle("CDL3INSIDE", 13)
def three_inside(candles: Candles) -> Array:
    """A harami that the third bar confirms beyond the first open: 100 upward, −100 downward."""
    first, small, it = (candles.ago(bars) for bars in (2, 1, 0))
    found = first.is_long & ~small.is_long & small.is_within(first)
    up = found & first.black & it.white & (it.close > first.open)
    down = found & first.white & it.black & (it.close < first.open)
    return rising(up) + falling(down)


@candle("CDL3OUTSIDE", 4)
def three_outside(candles: Candles) -> Array:
    """An engulfing that the third bar goes on with: 100 upward, −100 downward."""
    first, second, it = (candles.ago(bars) for bars in (2, 1, 0))
    around = (second.top > first.top) & (second.bottom < first.bottom)
    up = around & second.white & first.black & (it.close > second.close)
    down = around & second.black & first.white & (it.close < second.close)
    return rising(up) + falling(down)


@candle("CDL3WHITESOLDIERS", 13)
def three_white_soldiers(candles: Candles) -> Array:
    """Three white bodies, each opening in or near the one before and closing near its high: 100.

    None is far shorter than the one before, and the last is not small.
    """
    found = candles.ago(0).is_long
    for bars in (2, 1, 0):
        it = candles.ago(bars)
        found = found & it.white & (it.upper < it.usual(TRACE))
    for bars in (1, 0):
        it, before = candles.ago(bars), candles.ago(bars + 1)
        found &= (it.close > before.close) & (it.open > before.open)
        found &= it.open <= before.close + before.usual(NEAR)
        found &= it.body > before.body - before.usual(FAR)
    return rising(found)


@candle("CDL3BLACKCROWS", 14)
def three_black_crows(candles: Candles) -> Array:
    """Three black bodies after a white one, each opening in the one before: −100.

    Each closes near its low and lower than the one before, the first below the white one's high.
    """
    white, first = candles.ago(3), candles.ago(2)
    found = white.white & (white.high > first.close)
    for bars in (2, 1, 0):
        it = candles.ago(bars)
        found = found & it.black & (it.lower < it.usual(TRACE))
    for bars in (1, 0):
        it, before = candles.ago(bars), candles.ago(bars + 1)
        found &= (it.open < before.open) & (it.open > before.close) & (it.close < before.close)
    return falling(found)


def _inside(candles: Candles, small: Mask) -> Array:
    """A small body inside a long one before it."""
    it, before = candles.ago(0), candles.ago(1)
    inside = (it.top <= before.top) & (it.bottom >= before.bottom)
    found = small & before.is_long & inside
    size = np.where(it.is_within(before), 1.0, 0.8)
    return (rising(found & before.black) + falling(found & before.white)) * size


def _hangs(candles: Candles) -> Mask:
    """A small body over a longer lower shadow, with hardly an upper one."""
    it = candles.ago(0)
    return it.is_short & (it.lower > it.body) & (it.upper < it.usual(TRACE))


def _stands(candles: Candles) -> Mask:
    """A small body under a longer upper shadow, with hardly a lower one."""
    it = candles.ago(0)
    return it.is_short & (it.upper > it.body) & (it.lower < it.usual(TRACE))
