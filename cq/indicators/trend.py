"""Averages that follow the price."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from cq.errors import UsageError
from cq.indicators.above import above
from cq.indicators.arrays import batch, batch_of_marks
from cq.indicators.columns import Column, column, nanoseconds
from cq.indicators.kernels import chained, kernel, weighted
from cq.indicators.registry import forgets, indicator, whole
from cq.indicators.smoothing import Seed, average, wilder
from cq.indicators.stages import share
from cq.indicators.steps import adaptive_means, aging, hulls, means_of_means, weighted_means
from cq.indicators.windows import line, mean_of, windowed
from cq.utils.time import interval_ns


@indicator("trend", "price", lambda window: window)
def sma(values: Column, window: int | str = 20) -> pl.Expr:
    """The mean of the last `window` values, or of those of a span of time such as "20d".

    mean = Σ x / window. Null until the window is full, and while it holds a null; a span looks at
    `ts`, takes what is there, and is null until it lies behind the first bar. Source: TA-Lib SMA.
    A window of bars is added up afresh: the same bits whatever the history. Two averages of a flat
    market may still differ by rounding, so compare them with `sma_above`.
    """
    x = column(values)
    if isinstance(window, str):
        return within(x, window)
    return mean_of(x, whole(window))


def within(x: pl.Expr, span: str) -> pl.Expr:
    """The mean over a span of time; null until all of it lies behind the first bar."""
    ts, length = nanoseconds(), interval_ns(span)
    average = x.rolling_mean_by(ts, window_size=f"{length}i")
    return pl.when(ts - ts.cum_min() >= length).then(average)


def sma_above(values: Column, fast: int, slow: int) -> pl.Expr:
    """Whether the mean of the last `fast` values lies above that of the last `slow`, exactly.

    Compared as whole numbers (of 8 decimals), crosswise instead of divided: a flat market is a
    tie, on any machine. Null until both averages are there.
    """
    return batch_of_marks(above, [column(values)], fast, slow)


@indicator("trend", "price", lambda span, tolerance: span + forgets(2 / (span + 1), tolerance))
def ema(values: Column, span: int = 20, seed: Seed = "mean") -> pl.Expr:
    """The exponential mean, of weight 2 / (span + 1).

    y += 2 / (span + 1) × (x − y). Starts from the plain mean of the first `span` values, as TA-Lib
    does, or with seed="first" from the first value, as pandas does; null before the `span`-th value
    in both. Nulls are passed over, as though those bars were not there.
    """
    return average(column(values), whole(span, "span"), seed)


@indicator("trend", "price", lambda window, tolerance: window + forgets(1 / window, tolerance))
def rma(values: Column, window: int = 14) -> pl.Expr:
    """Wilder's mean, the exponential one of weight 1 / window.

    y += (x − y) / window, from the plain mean of the first `window` values; null before it. Nulls
    are passed over. Source: Wilder 1978, TA-Lib RMA.
    """
    return wilder(column(values), whole(window))


@indicator("trend", "price", lambda window: window)
def wma(values: Column, window: int = 20) -> pl.Expr:
    """The mean weighted by age: `window` for the newest value, 1 for the oldest.

    Σ k x / Σ k. Null until the window is full, and while it holds a null. Source: TA-Lib WMA.
    Each window is weighed afresh: the same bits whatever the history.
    """
    return line(column(values), whole(window), 1.0, aging(window))


@indicator(
    "trend", "price", lambda window, tolerance: 2 * window + forgets(2 / (window + 1), tolerance, 2)
)
def dema(values: Column, window: int = 20, seed: Seed = "mean") -> pl.Expr:
    """The double exponential mean, which lags less: 2 e₁ − e₂, e₂ the EMA of the EMA e₁.

    Null for the first 2 window − 2 values; nulls are passed over. Source: Mulloy 1994, TA-Lib
    DEMA. A kernel.
    """
    return _chained(values, whole(window), [2, -1], seed)


def _chained(values: Column, window: int, shares: list[float], seed: Seed = "mean") -> pl.Expr:
    """A sum of shares of EMAs of EMAs."""
    x = column(values)
    if seed == "mean":
        places, depth = np.array(shares, dtype=float), len(shares)
        return kernel(chained, [x], np.full(depth, float(window)), places)
    means = [x]
    for _ in shares:
        means.append(share(average(means[-1], window, seed)))
    return pl.sum_horizontal(
        *(part * mean for part, mean in zip(shares, means[1:], strict=True)), ignore_nulls=False
    )


@indicator(
    "trend", "price", lambda window, tolerance: 3 * window + forgets(2 / (window + 1), tolerance, 3)
)
def tema(values: Column, window: int = 20, seed: Seed = "mean") -> pl.Expr:
    """The triple exponential mean: 3 e₁ − 3 e₂ + e₃, each the EMA of the one before.

    Null for the first 3 window − 3 values; nulls are passed over. Source: Mulloy 1994, TA-Lib
    TEMA. A kernel.
    """
    return _chained(values, whole(window), [3, -3, 1], seed)


@indicator("trend", "price", lambda window: window)
def trima(values: Column, window: int = 20) -> pl.Expr:
    """The triangular mean: weights rise to the middle of the window and fall again.

    The mean over (window + 1) // 2 bars of the mean over window // 2 + 1. Null until the window
    is full, and while it holds a null. Source: TA-Lib TRIMA.
    """
    one, other = (whole(window) + 1) // 2, window // 2 + 1
    return windowed(means_of_means, [column(values)], window, one, other)


@indicator(
    "trend",
    "price",
    lambda window, fast, slow, tolerance: (
        window + forgets((2 / (max(fast, slow) + 1)) ** 2, tolerance)
    ),
)
def kama(values: Column, window: int = 10, fast: int = 2, slow: int = 30) -> pl.Expr:
    """Kaufman's adaptive mean: fast in a trend, slow in a market that goes nowhere.

    y += c² × (x − y), c = e × (2/(fast+1) − 2/(slow+1)) + 2/(slow+1), e = |x − x₋ₙ| / Σ|Δx|, 1 in
    a flat window. Starts from the value before the first; null for `window` values. Nulls are
    passed over once they left the window. Source: Kaufman 1995, TA-Lib KAMA. The recurrence is a
    kernel. The warm-up is for the slowest market there can be.
    """
    weights = 2 / (whole(slow, "slow") + 1), 2 / (whole(fast, "fast") + 1)
    return batch(adaptive_means, [column(values)], whole(window), *weights)


@indicator("trend", "price", lambda window: window + math.isqrt(window) - 1)
def hma(values: Column, window: int = 16) -> pl.Expr:
    """Hull's mean, with hardly any lag: wma(2 wma(x, window / 2) − wma(x, window), √window).

    Both halves are rounded down. Null until the windows are full, and while they hold a null.
    Source: Hull 2005, TA-Lib HMA.
    """
    rows = whole(window, least=2) + math.isqrt(window) - 1
    return windowed(hulls, [column(values)], rows, window)


@indicator(
    "trend",
    "price",
    lambda window, tolerance: 6 * window + forgets(2 / (window + 1), tolerance / 100, 6),
)
def t3(values: Column, window: int = 5, volume_factor: float = 0.7) -> pl.Expr:
    """Tillson's mean: six EMAs in a row, weighed so that little lag is left.

    −v³ e₆ + (3v² + 3v³) e₅ − (6v² + 3v + 3v³) e₄ + (1 + 3v + v³ + 3v²) e₃. Null for the first
    6 window − 6 values; nulls are passed over. Source: Tillson 1998, TA-Lib T3. A kernel.
    """
    v = volume_factor
    parts = [1 + 3 * v + v**3 + 3 * v**2, -3 * (2 * v**2 + v + v**3), 3 * (v**2 + v**3), -(v**3)]
    return _chained(values, whole(window), [0, 0, *parts])


@indicator("trend", "price", lambda window: window)
def alma(values: Column, window: int = 9, offset: float = 0.85, sigma: float = 6.0) -> pl.Expr:
    """The mean under a bell that stands at `offset` of the window.

    wₖ = exp(−(k − offset × (window − 1))² / (2 (window / sigma)²)), normed, k from the oldest on.
    Null until the window is full, and while it holds a null. Source: Legoux and Kouzis-Loukas
    2009. Weighed afresh at each bar (a kernel).
    """
    if not sigma > 0:
        raise UsageError(f"sigma is {sigma!r}; expected a number above 0")
    if not 0 <= offset <= 1:
        raise UsageError(f"offset is {offset!r}; expected a share of the window, 0 to 1")
    places = np.arange(float(whole(window)))
    bell = np.exp(-((places - offset * (window - 1)) ** 2) / (2 * (window / sigma) ** 2))
    return kernel(weighted, [column(values)], bell / bell.sum(), 1.0)


@indicator("trend", "price", lambda window: window)
def vwma(values: Column, volume: Column, window: int = 20) -> pl.Expr:
    """The mean of the last `window` values weighted by volume: Σ x v / Σ v.

    Null until the window is full, while it holds a null, and where nothing was traded in it.
    Source: TA-Lib VWMA.
    """
    return windowed(weighted_means, [column(values), column(volume)], whole(window))


@indicator("trend", "change", lambda window: window)
def slope(values: Column, window: int = 14) -> pl.Expr:
    """How much a straight line through the last `window` values rises a bar (least squares).

    Σ (k − k̄) x / Σ (k − k̄)². 0 in a flat market; null until the window is full, and while it
    holds a null. Source: TA-Lib LINEARREG_SLOPE. Fitted afresh at each bar.
    """
    return line(column(values), whole(window, least=2), 0.0, _tilt(window))


def _tilt(window: int) -> float:
    """1 / Σ (k − k̄)² over the places of the window."""
    return 12 / (window * (window * window - 1))


@indicator("trend", "price", lambda window: window)
def regression(values: Column, window: int = 14) -> pl.Expr:
    """Where a straight line through the last `window` values (least squares) ends.

    Null until the window is full, and while it holds a null. Source: TA-Lib LINEARREG. Fitted
    afresh at each bar.
    """
    tilt = _tilt(whole(window, least=2)) * (window - 1) / 2
    return line(column(values), window, 1.0, tilt)
