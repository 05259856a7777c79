"""What is made of windows in several steps, each block of rows passed through all of them at once.

The same values as the expressions that one would write, without a column of all rows in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cq.indicators.arrays import Array
from cq.indicators.kernels import adaptive, filled
from cq.indicators.windows import in_blocks, lines, sums


def ratio(above: Array, below: Array, flat: float) -> Array:
    """above / below, and `flat` where there is nothing to divide by."""
    found = np.full(len(above), flat)
    np.divide(above, below, out=found, where=below != 0)
    return found


def means_of_means(x: Array, _: int, one: int, other: int) -> Array:
    """The mean of `other` means, each of `one` value after the other."""
    return sums(sums(x, one), other) * (1 / (one * other))


def aging(window: int) -> float:
    """1 / Σ k for k from 1 to `window`: what a mean weighted by age takes of its tilt."""
    return 2 / (window * (window + 1))


def hulls(x: Array, _: int, window: int) -> Array:
    """Hull's mean: twice the quick weighted mean minus the slow one, weighed again."""
    half, root = window // 2, math.isqrt(window)
    slow = lines(x, window, 1.0, aging(window))
    quick = lines(x, half, 1.0, aging(half))
    return lines(2 * quick[window - half :] - slow, root, 1.0, aging(root))


def efficiencies(x: Array, rows: int) -> Array:
    """How far the values came in `rows` − 1 steps, over the way they went; 1 in a flat window."""
    path = sums(np.abs(x[1:] - x[:-1]), rows - 1)
    return np.minimum(ratio(np.abs(x[rows - 1 :] - x[: len(path)]), path, 1.0), 1.0)


def adaptive_means(arrays: Sequence[Array], window: int, slow: float, fast: float) -> Array:
    """Kaufman's mean: by its efficiency, each value's weight lies between `slow` and `fast`."""
    (x,) = arrays
    return filled(adaptive, [x, in_blocks([x], efficiencies, window + 1)], slow, fast)


def weighted_means(x: Array, weights: Array, rows: int) -> Array:
    """The mean of each run, weighted; none where the weights are all 0."""
    return ratio(sums(x * weights, rows), sums(weights, rows), np.nan)


def traded_means(high: Array, low: Array, close: Array, volume: Array, rows: int) -> Array:
    """The mean typical price of what each run traded; none where that is nothing."""
    return weighted_means((high + low + close) * (1 / 3), volume, rows)


def relatives(x: Array, rows: int) -> Array:
    """The newest value over the mean of those before it; none where they are all 0."""
    return ratio(x[rows - 1 :], sums(x, rows - 1)[:-1] / (rows - 1), np.nan)


def vortices(high: Array, low: Array, close: Array, rows: int, up: bool) -> Array:
    """The way from each low to the next high (`up`), or from high to low, over the true ranges."""
    moved = high[1:] - low[:-1] if up else low[1:] - high[:-1]
    size = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    return ratio(sums(np.abs(moved), rows - 1), sums(size, rows - 1), 0.0)


def pressures(high: Array, low: Array, close: Array, rows: int, fast: int, middle: int) -> Array:
    """Closes over true lows as a share of true ranges, of three windows weighed 4, 2 and 1."""
    floor = np.minimum(low[1:], close[:-1])
    pressure, span = close[1:] - floor, np.maximum(high[1:], close[:-1]) - floor
    found = np.zeros(len(close) - rows + 1)
    for weight, window in zip((1, 2, 4), (rows - 1, middle, fast), strict=True):
        part = ratio(sums(pressure, window), sums(span, window), 0.0)
        found += part[len(part) - len(found) :] * (weight * 100 / 7)
    return found
