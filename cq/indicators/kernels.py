"""Loops that no Polars expression can say, each written once and run in two ways.

A recurrence with a state (a trailing stop) or a window that is weighed afresh at each bar is a
plain function over arrays. Over long columns numba compiles it (once, kept on disk); over short
ones, such as live ones, or without numba, Python runs the very same lines: the same bits, since
compiled arithmetic is not rearranged. Numba is imported only when a long column asks for it.

A null or NaN is a bar that is not there: windows that hold one have no value, states pass over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import polars as pl

LONG: Final = 50_000
"""Rows from which compiling, or loading what was compiled, is worth its while."""

Loop = Callable[..., Any]
_READY: set[Loop] = set()
"""What is compiled in this process: from then on it serves short columns as well."""

Array = np.ndarray[Any, np.dtype[np.float64]]


def kernel(loop: Loop, inputs: Sequence[pl.Expr], *parameters: Any) -> pl.Expr:
    """The expression that runs `loop(*arrays, *parameters)` over each symbol's whole columns."""
    return pl.map_batches(list(inputs), Kernel(loop, parameters), return_dtype=pl.Float64)


@dataclass(frozen=True)
class Kernel:
    """A loop with its parameters, as a plan holds it; it can be pickled, as plans can."""

    loop: Loop
    parameters: tuple[Any, ...]

    def __call__(self, columns: Sequence[pl.Series]) -> pl.Series:
        """What the loop makes of the columns of one symbol."""
        arrays = [_array(one) for one in columns]
        wanted = len(arrays[0]) >= LONG or self.loop in _READY
        if wanted and (fast := compiled(self.loop)):
            found = fast(*arrays, *self.parameters)
        else:
            found = self.loop(*map(_listed, arrays), *map(_listed, self.parameters))
        return pl.Series(columns[0].name, found, pl.Float64, nan_to_null=True)


@cache
def compiled(loop: Loop) -> Loop | None:
    """`loop` as machine code; None where numba is not installed."""
    if find_spec("numba") is None:
        return None
    made: Loop = import_module("numba").njit(loop, nogil=True, cache=True)
    _READY.add(loop)
    return made


def _array(column: pl.Series) -> Array:
    """The column as floats, nulls as NaN; read-only always, so that one compiled form serves."""
    array = np.ascontiguousarray(column.cast(pl.Float64).rechunk().to_numpy())
    array.setflags(write=False)
    return array


def _listed(one: Any) -> Any:
    """Plain floats, over which Python loops several times faster than over an array."""
    return one.tolist() if isinstance(one, np.ndarray) else one


def weighted(x: Any, weights: Any, total: float) -> Any:
    """The sum of weights × values, the newest value last; exact where the values are all equal."""
    n, size = len(x), len(weights)
    found = np.full(n, np.nan)
    for i in range(size - 1, n):
        last, start, s = x[i], i - size + 1, 0.0
        for k in range(size):
            s += weights[k] * (x[start + k] - last)
        found[i] = s + total * last
    return found


def channel_index(high: Any, low: Any, close: Any, window: int) -> Any:
    """The commodity channel index of typical prices; 0 in a flat window."""
    n = len(close)
    found = np.full(n, np.nan)
    typical = np.empty(n)
    for i in range(n):
        typical[i] = (high[i] + low[i] + close[i]) / 3.0
    for i in range(window - 1, n):
        last, s = typical[i], 0.0
        for k in range(i - window + 1, i):
            s += typical[k] - last
        mean, spread = s / window, 0.0
        for k in range(i - window + 1, i + 1):
            spread += abs(typical[k] - last - mean)
        if spread > 0.0:
            found[i] = -mean / (0.015 * (spread / window))
        elif spread == 0.0:
            found[i] = 0.0
    return found


def bars_since_highest(x: Any, window: int) -> Any:
    """Bars since the highest of the last `window` + 1 values, the newest of equals."""
    n = len(x)
    found = np.full(n, np.nan)
    best, gap = -1, -1
    for i in range(n):
        if x[i] != x[i]:
            gap = i
        if best < i - window:
            best = i - window if i >= window else 0
            for k in range(best + 1, i + 1):
                if x[k] >= x[best] or x[best] != x[best]:
                    best = k
        elif x[i] >= x[best] or x[best] != x[best]:
            best = i
        if i >= window and gap < i - window:
            found[i] = i - best
    return found


def lower_share(x: Any, window: int) -> Any:
    """Which part of the `window` values before lies below the newest, in percent."""
    n = len(x)
    found = np.full(n, np.nan)
    for i in range(window, n):
        last, below, there = x[i], 0, 0
        for k in range(i - window, i + 1):
            below += x[k] < last
            there += x[k] == x[k]
        if there == window + 1:
            found[i] = 100.0 * below / window
    return found


def comoment(x: Any, y: Any, window: int, kind: int) -> Any:
    """Of two windows: 0 the mean product of deviations, 1 the correlation, 2 the slope of y on x.

    Correlation and slope are 0 where a side does not move.
    """
    n = len(x)
    found = np.full(n, np.nan)
    for i in range(window - 1, n):
        a, b = x[i], y[i]
        sx = sy = sxx = syy = sxy = 0.0
        for k in range(i - window + 1, i):
            u, v = x[k] - a, y[k] - b
            sx += u
            sy += v
            sxx += u * u
            syy += v * v
            sxy += u * v
        xy = sxy - sx * sy / window
        xx = sxx - sx * sx / window
        yy = syy - sy * sy / window
        if kind == 0:
            found[i] = (xy + 0.0 * a * b) / window
        elif xx != xx or yy != yy or a != a or b != b:
            continue
        elif kind == 1:
            still = xx <= sxx * 1e-13 or yy <= syy * 1e-13
            found[i] = 0.0 if still else min(max(xy / (xx**0.5 * yy**0.5), -1.0), 1.0)
        else:
            found[i] = 0.0 if xx <= sxx * 1e-13 else xy / xx
    return found


def exponential(x: Any, alpha: float, window: int, at: int) -> Any:
    """y += alpha × (x − y), begun at the `at`-th value with the mean of the last `window`."""
    n = len(x)
    found = np.full(n, np.nan)
    number, y = 0, 0.0
    for i in range(n):
        if x[i] != x[i]:
            continue
        number += 1
        if number <= at:
            if number > at - window:
                y += x[i]
            if number < at:
                continue
            y /= window
        else:
            y += alpha * (x[i] - y)
        found[i] = y
    return found


def mean_range(high: Any, low: Any, close: Any, window: int, ranged: bool) -> Any:
    """Wilder's mean of the true range; `ranged`: that of the first bar is its own range."""
    n = len(close)
    found = np.full(n, np.nan)
    number, mean, before = 0, 0.0, np.nan
    for i in range(n):
        top, bottom = high[i], low[i]
        if top == top and bottom == bottom and (before == before or (ranged and number == 0)):
            if before == before:
                top, bottom = max(top, before), min(bottom, before)
            number += 1
            if number <= window:
                mean += (top - bottom) / window
            else:
                mean += (top - bottom - mean) / window
            if number >= window:
                found[i] = mean
        before = close[i]
    return found


def strength(x: Any, window: int, flat: float, scale: float) -> Any:
    """Wilder's mean change over that of its size, × `scale` + `flat`; `flat` without a move."""
    n = len(x)
    found = np.full(n, np.nan)
    number, moved, size, before = 0, 0.0, 0.0, np.nan
    for i in range(n):
        if x[i] != x[i]:
            continue
        if before == before:
            change = x[i] - before
            number += 1
            if number <= window:
                moved += change / window
                size += abs(change) / window
            else:
                moved += (change - moved) / window
                size += (abs(change) - size) / window
            if number >= window:
                found[i] = flat + scale * (moved / size) if size > 0.0 else flat
        before = x[i]
    return found


def crossing(x: Any, fast: int, slow: int, signal: int, wanted: int) -> Any:
    """The MACD's line (`wanted` 0) or signal (1), both EMAs begun at the `slow`-th value."""
    n = len(x)
    found = np.full(n, np.nan)
    number, short, long, smoothed = 0, 0.0, 0.0, 0.0
    a, b, c = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (signal + 1.0)
    for i in range(n):
        if x[i] != x[i]:
            continue
        number += 1
        if number <= slow:
            long += x[i] / slow
            if number > slow - fast:
                short += x[i] / fast
        else:
            long += b * (x[i] - long)
            short += a * (x[i] - short)
        if number >= slow:
            line = short - long
            if number < slow + signal:
                smoothed += line / signal
            else:
                smoothed += c * (line - smoothed)
            if number >= slow + signal - 1:
                found[i] = line if wanted == 0 else smoothed
    return found


def window_total(x: Any, window: int) -> Any:
    """The sum of the last `window` values; exactly 0 where all of them are.

    Added up afresh once a window, so that the rounding of what has left does not stay.
    """
    n = len(x)
    found = np.full(n, np.nan)
    total, there, busy = 0.0, 0, 0
    for i in range(n):
        if x[i] == x[i]:
            total += x[i]
            there += 1
            busy += x[i] != 0.0
        if i >= window and x[i - window] == x[i - window]:
            total -= x[i - window]
            there -= 1
            busy -= x[i - window] != 0.0
        if i % window == 0:
            total = 0.0
            for k in range(max(0, i - window + 1), i + 1):
                total += x[k] if x[k] == x[k] else 0.0
        if there == window:
            found[i] = total if busy > 0 else 0.0
    return found


def chained(x: Any, windows: Any, shares: Any) -> Any:
    """Exponential means of exponential means, each begun with the mean of its first window.

    The sum of shares × means, once the last one is there.
    """
    n, depth = len(x), len(windows)
    found = np.full(n, np.nan)
    counts, means = [0] * depth, [0.0] * depth
    for i in range(n):
        value, total = x[i], 0.0
        if value != value:
            continue
        for k in range(depth):
            window = windows[k]
            counts[k] += 1
            if counts[k] <= window:
                means[k] += value
                if counts[k] < window:
                    break
                means[k] /= window
            else:
                means[k] += 2.0 / (window + 1.0) * (value - means[k])
            value = means[k]
            total += shares[k] * value
            if k == depth - 1:
                found[i] = total
    return found


def directional(high: Any, low: Any, close: Any, window: int, first: int, wanted: int) -> Any:
    """Wilder's +DI (`wanted` 0), −DI (1), DX (2) or ADX (3); sums start from `first` bars."""
    n = len(close)
    found = np.full(n, np.nan)
    h0 = l0 = c0 = np.nan
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
    return found


def adaptive(x: Any, alpha: Any) -> Any:
    """y += alpha × (x − y), alpha its own at each bar; starts from the value before the first."""
    n = len(x)
    found = np.full(n, np.nan)
    y, before = np.nan, np.nan
    for i in range(n):
        if alpha[i] == alpha[i] and x[i] == x[i]:
            if y != y:
                y = before
            y += alpha[i] * (x[i] - y)
            found[i] = y
        if x[i] == x[i]:
            before = x[i]
    return found


def trailing_band(upper: Any, lower: Any, close: Any, wanted: int) -> Any:
    """The supertrend's line (`wanted` 0) or its direction (1), from the bands around the middle."""
    n = len(close)
    found = np.full(n, np.nan)
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
    return found


def parabolic(high: Any, low: Any, step: float, most: float) -> Any:
    """Wilder's parabolic stop; the first bar gives the first stop, the second the direction."""
    n = len(high)
    found = np.full(n, np.nan)
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
    return found


def running_mean(x: Any, weights: Any, starts: Any) -> Any:
    """The weighted mean since the newest bar where `starts` is not 0; none before the first."""
    n = len(x)
    found = np.full(n, np.nan)
    above, below, begun = 0.0, 0.0, False
    for i in range(n):
        if starts[i] != 0.0:
            above, below, begun = 0.0, 0.0, True
        if begun and x[i] == x[i] and weights[i] == weights[i]:
            above += x[i] * weights[i]
            below += weights[i]
            if below > 0.0:
                found[i] = above / below
    return found
