"""Means that grow by each bar, and what is made of them."""

from __future__ import annotations

from math import nan
from typing import Any


def mean_range(found: Any, high: Any, low: Any, close: Any, window: int, ranged: bool) -> None:
    """Wilder's mean of the true range; `ranged`: that of the first bar is its own range."""
    n = len(close)
    number, mean, before = 0, 0.0, nan
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


def strength(found: Any, x: Any, window: int, flat: float, scale: float) -> None:
    """Wilder's mean change over that of its size, × `scale` + `flat`; `flat` without a move."""
    n = len(x)
    number, moved, size, before = 0, 0.0, 0.0, nan
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


def crossing(found: Any, x: Any, fast: int, slow: int, signal: int, wanted: int) -> None:
    """The MACD's line (`wanted` 0) or signal (1), both EMAs begun at the `slow`-th value."""
    n = len(x)
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


def chained(found: Any, x: Any, windows: Any, shares: Any) -> None:
    """Exponential means of exponential means, each begun with the mean of its first window.

    The sum of shares × means, once the last one is there.
    """
    depth = len(windows)
    counts, means = [0] * depth, [0.0] * depth
    for i in range(len(x)):
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


def adaptive(found: Any, x: Any, share: Any, least: float, most: float) -> None:
    """y += c² × (x − y), c between `least` and `most` by each bar's `share` of the way.

    Starts from the value before the first share.
    """
    y, before = nan, nan
    for i in range(len(x)):
        c = least + share[i] * (most - least)
        if c == c and x[i] == x[i]:
            if y != y:
                y = before
            y += c * c * (x[i] - y)
            found[i] = y
        if x[i] == x[i]:
            before = x[i]


def running_mean(found: Any, x: Any, weights: Any, starts: Any) -> None:
    """The weighted mean since the newest bar where `starts` is not 0; none before the first."""
    n = len(x)
    above, below, begun = 0.0, 0.0, False
    for i in range(n):
        if starts[i] != 0.0:
            above, below, begun = 0.0, 0.0, True
        if begun and x[i] == x[i] and weights[i] == weights[i]:
            above += x[i] * weights[i]
            below += weights[i]
            if below > 0.0:
                found[i] = above / below


def true_strength(found: Any, x: Any, slow: int, fast: int) -> None:
    """Twice smoothed changes over their twice smoothed sizes, in percent; 0 without a move."""
    a, b = 2.0 / (slow + 1.0), 2.0 / (fast + 1.0)
    number, before = 0, nan
    moved = size = left = path = 0.0
    for i in range(len(x)):
        if x[i] != x[i]:
            continue
        if before == before:
            change = x[i] - before
            number += 1
            if number <= slow:
                moved += change / slow
                size += abs(change) / slow
            else:
                moved += a * (change - moved)
                size += a * (abs(change) - size)
            if slow <= number < slow + fast:
                left += moved / fast
                path += size / fast
            elif number > slow:
                left += b * (moved - left)
                path += b * (size - path)
            if number >= slow + fast - 1:
                found[i] = 100.0 * (left / path) if path > 0.0 else 0.0
        before = x[i]


def line_crossing(
    found: Any, high: Any, low: Any, close: Any, volume: Any, fast: int, slow: int
) -> None:
    """EMAs of the accumulation line: `fast` minus `slow`, both from its first value."""
    a, b, begin = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), max(fast, slow)
    number, line, short, long = 0, 0.0, 0.0, 0.0
    for i in range(len(close)):
        flow = 0.0 * volume[i]
        if high[i] != low[i]:
            flow = ((close[i] - low[i]) - (high[i] - close[i])) / (high[i] - low[i]) * volume[i]
        if flow != flow:
            continue
        number += 1
        line += flow
        if number == 1:
            short = long = line
        short += a * (line - short)
        long += b * (line - long)
        if number >= begin:
            found[i] = short - long
