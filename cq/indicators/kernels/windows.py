"""Windows that are weighed or counted afresh at each bar."""

from __future__ import annotations

from typing import Any


def weighted(found: Any, x: Any, weights: Any, total: float) -> None:
    """The sum of weights × values, the newest value last; exact where the values are all equal."""
    n, size = len(x), len(weights)
    for i in range(size - 1, n):
        last, start, s = x[i], i - size + 1, 0.0
        for k in range(size):
            s += weights[k] * (x[start + k] - last)
        found[i] = s + total * last


def channel_index(found: Any, x: Any, window: int) -> None:
    """The commodity channel index of (typical) prices; 0 in a flat window."""
    for i in range(window - 1, len(x)):
        last, s = x[i], 0.0
        for k in range(i - window + 1, i):
            s += x[k] - last
        mean, spread = s / window, 0.0
        for k in range(i - window + 1, i + 1):
            spread += abs(x[k] - last - mean)
        if spread > 0.0:
            found[i] = -mean / (0.015 * (spread / window))
        elif spread == 0.0:
            found[i] = 0.0


def bars_since_highest(found: Any, x: Any, window: int) -> None:
    """Bars since the highest of the last `window` + 1 values, the newest of equals."""
    n = len(x)
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


def lower_share(found: Any, x: Any, window: int) -> None:
    """Which part of the `window` values before lies below the newest, in percent."""
    n = len(x)
    for i in range(window, n):
        last, below, there = x[i], 0, 0
        for k in range(i - window, i + 1):
            below += x[k] < last
            there += x[k] == x[k]
        if there == window + 1:
            found[i] = 100.0 * below / window
