"""Statistics of a window of values, or of two."""

from __future__ import annotations

import math
from functools import reduce
from operator import add

import polars as pl

from cq.indicators.columns import Column, column
from cq.indicators.kernels import kernel, lower_share
from cq.indicators.registry import indicator, whole
from cq.indicators.smoothing import quotient
from cq.indicators.stages import share
from cq.indicators.windows import deviation, mean_of, products, squares

_LAGS = (1, 2, 4, 8, 16)


@indicator("statistics", "oscillator", lambda window: window)
def zscore(values: Column, window: int = 20, ddof: int = 1) -> pl.Expr:
    """How many standard deviations the value is from the mean of its window.

    (x − mean) / stddev, that of a sample, or with ddof=0 of the population. 0 in a flat window;
    null until it is full, and while it holds a null.
    """
    x = column(values)
    spread = share(deviation(x, whole(window, least=2), ddof))
    return quotient(x - mean_of(x, window), spread, 0.0)


@indicator("statistics", "oscillator", lambda window: window, (-1.0, 1.0))
def correlation(one: Column, other: Column, window: int = 30) -> pl.Expr:
    """Pearson's correlation of two columns over the window, −1 to 1.

    0 where one of them does not move; null until the window is full, and while it holds a null.
    Source: TA-Lib CORREL.
    """
    x, y = column(one), column(other)
    both = products(x, y, whole(window, least=2))
    sizes = share(squares(x, window).sqrt() * squares(y, window).sqrt())
    return quotient(both, sizes, 0.0).clip(-1.0, 1.0)


@indicator("statistics", "variance", lambda window: window)
def covariance(one: Column, other: Column, window: int = 30, ddof: int = 1) -> pl.Expr:
    """The covariance of two columns over the window, of a sample or with ddof=0 of all there is.

    Σ (x − x̄)(y − ȳ) / (window − ddof). 0 where one of them does not move; null until the window is
    full, and while it holds a null.
    """
    return products(column(one), column(other), whole(window, least=ddof + 1)) / (window - ddof)


@indicator("statistics", "ratio", lambda window: window + 1)
def beta(values: Column, market: Column, window: int = 30) -> pl.Expr:
    """How much a price moves for 1 % of the market: the slope of its returns on the market's.

    cov(r, m) / var(m) over `window` simple returns. 0 where the market does not move; null for
    `window` bars, and while a null, or a return on a price of 0, is in sight. Source: TA-Lib BETA,
    which takes the market first.
    """
    whole(window, least=2)
    theirs, ours = (share(_returns(column(one))) for one in (market, values))
    return quotient(products(theirs, ours, window), share(squares(theirs, window)), 0.0)


def _returns(x: pl.Expr) -> pl.Expr:
    before = x.shift(1)
    return x / pl.when(before != 0).then(before) - 1


@indicator("statistics", "oscillator", lambda window: window)
def skew(values: Column, window: int = 30) -> pl.Expr:
    """The skewness of the window: mean((x − mean)³) / stddev³ of the population.

    Null in a flat window, until it is full, and while it holds a null.
    """
    return column(values).rolling_skew(whole(window, least=2)).fill_nan(None)


@indicator("statistics", "oscillator", lambda window: window)
def kurtosis(values: Column, window: int = 30) -> pl.Expr:
    """The excess kurtosis of the window: mean((x − mean)⁴) / stddev⁴ − 3 of the population.

    0 for a normal distribution. Null in a flat window, until it is full, and while it holds a null.
    """
    return column(values).rolling_kurtosis(whole(window, least=2)).fill_nan(None)


@indicator("statistics", "oscillator", lambda window: window + 1, (0.0, 100.0))
def percent_rank(values: Column, window: int = 100) -> pl.Expr:
    """Which part of the `window` values before lies below this one, in percent.

    0 in a flat market. Null for `window` values, and while a null is in sight. Source: TA-Lib
    PERCENTRANK. Each window is counted afresh (a kernel).
    """
    return kernel(lower_share, [column(values)], whole(window))


@indicator("statistics", "ratio", lambda window: window + _LAGS[-1])
def hurst(values: Column, window: int = 100) -> pl.Expr:
    """Hurst's exponent: above ½ the price trends, below it comes back, ½ is a random walk.

    The slope of ln(stddev of the log change over a lag) on ln(lag), for lags of 1, 2, 4, 8 and 16
    bars, each over the last `window` changes. Noisy: of little use below a hundred bars. Null for
    window + 15 bars, while a null or a price of 0 is in sight, and where the price did not move.
    """
    x = column(values)
    x = pl.when(x > 0).then(x).log()
    places = [math.log(lag) for lag in _LAGS]
    middle = sum(places) / len(places)
    spread = sum((place - middle) ** 2 for place in places)
    terms = []
    for lag, place in zip(_LAGS, places, strict=True):
        moved = deviation(x - x.shift(lag), whole(window, least=2), 1)
        moved = pl.when(moved > 0).then(moved.log())
        terms.append(moved * ((place - middle) / spread))
    return reduce(add, terms)
