"""Candle patterns of several bars, most of which are said to turn a market: TA-Lib's as well."""

from __future__ import annotations

import numpy as np

from cq.indicators.arrays import Array
from cq.indicators.candle import FAR, NEAR, TRACE, Candles, Mask
from cq.indicators.candles import candle, falling, rising


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
