"""Stops that trail, and sums of a direction."""

from __future__ import annotations

from math import nan
from typing import Any


def directional(
    found: Any, high: Any, low: Any, close: Any, window: int, first: int, wanted: int
) -> None:
    """Wilder's +DI (`wanted` 0), −DI (1), DX (2) or ADX (3); sums start from `first` bars."""
    n = len(close)
    h0 = l0 = c0 = nan
    size = plus = minus = mean = 0.0
    number = 0
    for i in range(n):
        if high[i] != high[i] or low[i] != low[i] or close[i] != close[i]:
            continue
        if c0 == c0:
            up, down = high[i] - h0, l0 - low[i]
            keep = 1.0 if number < first else 1.0 - 1.0 / window
            size = size * keep + max(high[i], c0) - min(low[i], c0)
            plus = plus * keep + (up if up > down and up > 0.0 else 0.0)
            minus = minus * keep + (down if down > up and down > 0.0 else 0.0)
            number += 1
            both = plus + minus
            index = 100.0 * abs(plus - minus) / both if both > 0.0 else 0.0
            if number >= window:
                if number < 2 * window:
                    mean += index / window
                else:
                    mean += (index - mean) / window
                if wanted == 0:
                    found[i] = 100.0 * plus / size if size > 0.0 else 0.0
                elif wanted == 1:
                    found[i] = 100.0 * minus / size if size > 0.0 else 0.0
                elif wanted == 2:
                    found[i] = index
                elif number >= 2 * window - 1:
                    found[i] = mean
        h0, l0, c0 = high[i], low[i], close[i]


def trailing_band(found: Any, upper: Any, lower: Any, close: Any, wanted: int) -> None:
    """The supertrend's line (`wanted` 0) or its direction (1), from the bands around the middle."""
    n = len(close)
    top, bottom, before, rising, begun = 0.0, 0.0, 0.0, True, False
    for i in range(n):
        if upper[i] != upper[i] or lower[i] != lower[i] or close[i] != close[i]:
            continue
        if not begun or upper[i] < top or before > top:
            top = upper[i]
        if not begun or lower[i] > bottom or before < bottom:
            bottom = lower[i]
        if begun and rising and close[i] < bottom:
            rising = False
        elif begun and not rising and close[i] > top:
            rising = True
        if wanted == 0:
            found[i] = bottom if rising else top
        else:
            found[i] = 1.0 if rising else -1.0
        before, begun = close[i], True


def parabolic(found: Any, high: Any, low: Any, step: float, most: float) -> None:
    """Wilder's parabolic stop; the first bar gives the first stop, the second the direction."""
    n = len(high)
    number, rising = 0, True
    h0 = l0 = stop = extreme = speed = 0.0
    for i in range(n):
        h, l = high[i], low[i]  # noqa: E741
        if h != h or l != l:
            continue
        number += 1
        if number == 2:
            rising = not (l0 - l > 0.0 and l0 - l > h - h0)
            stop, extreme, speed = (l0, h, step) if rising else (h0, l, step)
            h0, l0 = h, l
        if number >= 2:
            turned = l <= stop if rising else h >= stop
            if turned:
                rising = not rising
                stop = min(extreme, l0, l) if rising else max(extreme, h0, h)
                extreme, speed = (h if rising else l), step
            found[i] = stop
            if not turned and (h > extreme if rising else l < extreme):
                extreme, speed = (h if rising else l), min(speed + step, most)
            stop += speed * (extreme - stop)
            stop = min(stop, l0, l) if rising else max(stop, h0, h)
        h0, l0 = h, l
