"""Sums, means, deviations and extremes of the last so many values, by doubling.

The sums of two values make those of four, these those of eight; a window of twenty is one of four
and one of sixteen. So a value is made of the values in its window alone, always in the same order:
it has the same bits on any engine and any number of threads, however long the history, and the
rounding of what has left the window does not stay. The work is done block by block, so that its
steps stay in the processor's cache, and grows with the logarithm of the window.

A null or NaN is a bar that is not there: a window that holds one has no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from cq.indicators.arrays import Array, batch

BLOCK: Final = 8_192
"""Rows at a time."""

Step = Callable[..., Array]


def windowed(step: Step, inputs: Sequence[pl.Expr], window: int, *rest: float) -> pl.Expr:
    """The expression that gives `step(*rows, window, *rest)` for each run of `window` rows."""
    return batch(in_blocks, inputs, step, window, *rest)


def total(x: pl.Expr, window: int) -> pl.Expr:
    """The sum of the last `window` values; exactly 0 where all of them are."""
    return windowed(sums, [x], window)


def mean_of(x: pl.Expr, window: int) -> pl.Expr:
    """The mean of the last `window` values."""
    return windowed(averages, [x], window)


def squares(x: pl.Expr, window: int) -> pl.Expr:
    """The sum of squared deviations from the window's mean; exactly 0 where all are equal."""
    return windowed(spreads, [x], window)


def products(x: pl.Expr, y: pl.Expr, window: int) -> pl.Expr:
    """The sum of products of two columns' deviations; exactly 0 where one does not move."""
    return windowed(comoments, [x, y], window)


def line(x: pl.Expr, window: int, level: float, tilt: float) -> pl.Expr:
    """`level` × the window's mean + `tilt` × the sum of its deviations times their places.

    What any weights make that rise evenly with the place: exactly `level` × x where all are equal.
    """
    return windowed(lines, [x], window, level, tilt)


def deviation(x: pl.Expr, window: int, ddof: int, times: float = 1.0) -> pl.Expr:
    """`times` the standard deviation of the last `window` values; exactly 0 where all are equal."""
    return windowed(deviations, [x], window, ddof, times)


def highest(x: pl.Expr, window: int) -> pl.Expr:
    """The highest of the last `window` values."""
    return windowed(maxima, [x], window)


def lowest(x: pl.Expr, window: int) -> pl.Expr:
    """The lowest of the last `window` values."""
    return windowed(minima, [x], window)


def in_blocks(arrays: Sequence[Array], step: Step, window: int, *rest: float) -> Array:
    """`step` over every run of `window` rows of the arrays; NaN before the first is full."""
    found = np.empty(len(arrays[0]))
    found[: window - 1] = np.nan
    runs = len(found) - window + 1
    size = max(BLOCK, 2 * window)
    with np.errstate(all="ignore"):
        for start in range(0, runs, size):
            end = min(start + size, runs) + window - 1
            found[start + window - 1 : end] = step(
                *(one[start:end] for one in arrays), window, *rest
            )
    return found


def doubled(x: Array, window: int, join: Callable[[Array, Array], Array]) -> Iterator[Array]:
    """`join` over every run of 1, 2, 4, … values, up to `window` of them."""
    yield x
    half = 1
    while 2 * half <= window:
        x = join(x[:-half], x[half:])
        yield x
        half *= 2


def sums(x: Array, window: int) -> Array:
    """The sum of each run."""
    found, taken, size = x, 0, 1
    for piece in doubled(x, window, np.add):
        if window & size:
            found = found[: len(piece) - taken] + piece[taken:] if taken else piece
            taken += size
        size *= 2
    return found


def averages(x: Array, window: int) -> Array:
    """The mean of each run."""
    return sums(x, window) / window


def maxima(x: Array, window: int) -> Array:
    """The highest of each run: of two that overlap, their lengths a power of two."""
    return _of_two(x, window, np.maximum)


def minima(x: Array, window: int) -> Array:
    """The lowest of each run."""
    return _of_two(x, window, np.minimum)


def _of_two(x: Array, window: int, join: Callable[[Array, Array], Array]) -> Array:
    (*_, longest) = doubled(x, window, join)
    runs = len(x) - window + 1
    return join(longest[:runs], longest[len(longest) - runs :])


def spreads(x: Array, window: int) -> Array:
    """The sum of squared deviations of each run."""
    return runs_of(Runs(1, x, x, x - x), window).product


def deviations(x: Array, window: int, ddof: int, times: float) -> Array:
    """`times` the standard deviation of each run."""
    found = spreads(x, window)
    found *= times * times / (window - ddof) if window > ddof else np.nan
    np.sqrt(found, out=found)
    return found if times >= 0 else -found


def comoments(x: Array, y: Array, window: int) -> Array:
    """The sum of products of the deviations of two arrays, of each run."""
    return runs_of(Runs(1, x, y, (x - x) * y), window).product


def lines(x: Array, window: int, level: float, tilt: float) -> Array:
    """`level` × the mean + `tilt` × the sum of deviations times places, of each run."""
    found = runs_of(Runs(1, x, None, x - x), window)
    return found.product * tilt + found.x * level if level else found.product * tilt


class Runs(NamedTuple):
    """Of every run of `size` rows: the means of two columns, and the sum of products of deviations.

    Without `y` the second column counts places. Two runs make a longer one by what they have, and
    what the distance of their means adds (Chan, Golub and LeVeque 1979): nothing cancels out, as it
    does where squares of sums are subtracted.
    """

    size: int
    x: Array
    y: Array | None
    product: Array

    def then(self, other: Runs) -> Runs:
        """The runs of these rows and those of `other` that follow them."""
        rows, size = len(other.x) - self.size, self.size + other.size
        share, weight = other.size / size, self.size * other.size / size
        apart = other.x[self.size :] - self.x[:rows]
        x = apart * share
        x += self.x[:rows]
        y: Array | None = None
        if self.y is None:
            apart *= weight * size / 2
        elif self.y is self.x:
            y = x
            apart *= apart
            apart *= weight
        else:
            assert other.y is not None
            gap = other.y[self.size :] - self.y[:rows]
            y = self.y[:rows] + gap * share
            apart *= gap
            apart *= weight
        if self.size > 1:
            apart += self.product[:rows]
        if other.size > 1:
            apart += other.product[self.size :]
        return Runs(size, x, y, apart)


def runs_of(piece: Runs, window: int) -> Runs:
    """Runs of `window` rows, made of those of one."""
    found: Runs | None = None
    while True:
        if window & piece.size:
            found = piece if found is None else found.then(piece)
        if 2 * piece.size > window:
            assert found is not None
            return found
        piece = piece.then(piece)
