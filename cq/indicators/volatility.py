"""How much the price moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import polars as pl

from cq.errors import UsageError
from cq.indicators.columns import Column, column, fixed_point
from cq.indicators.kernels import kernel, mean_range
from cq.indicators.registry import Indicator, forgets, indicator, whole
from cq.indicators.smoothing import quotient, smooth
from cq.indicators.windows import deviation, mean_of, squares

First = Literal["null", "range"]
"""The true range of the first bar: none (as TA-Lib), or its range (as Lean and TradingView)."""

_RETURN_DECIMALS = 12
_SQUARE_DECIMALS = 15


@indicator("volatility", "ratio", lambda: 2)
def log_returns(close: Column) -> pl.Expr:
    """ln(close / the close before); null for the first bar.

    Null, too, where one of the two is not above 0.
    """
    x = column(close)
    above = pl.when(x > 0).then(x)
    return (above / above.shift(1)).log()


@indicator("volatility", "ratio", lambda window: window + 1, (0.0, None))
def realised_volatility(close: Column, window: int = 24, bars_per_year: float = 1.0) -> pl.Expr:
    """Sample deviation of the last `window` log returns, annualised; null for `window` bars.

    Summed in fixed point, so that the same bars give the same bits everywhere; a return counts
    at most ±1 (a factor of 2.7 in one bar). 0 in a flat market.
    """
    moved = log_returns(close).clip(-1.0, 1.0)
    window = whole(window, least=2)
    total = fixed_point(moved, _RETURN_DECIMALS).rolling_sum(window) / 10.0**_RETURN_DECIMALS
    squares = fixed_point(moved * moved, _SQUARE_DECIMALS).rolling_sum(window)
    spread = squares / 10.0**_SQUARE_DECIMALS - total * total / window
    return (spread.clip(lower_bound=0.0) * (bars_per_year / (window - 1))).sqrt()


@indicator("volatility", "change", lambda: 2, (0.0, None))
def true_range(high: Column, low: Column, close: Column, first: First = "null") -> pl.Expr:
    """The range of a bar that begins at the close before it.

    max(high, close₋₁) − min(low, close₋₁). Null for the first bar, or with first="range" its
    high − low; null where one of the three is. Source: Wilder 1978, TA-Lib TRANGE.
    """
    h, low_, before = column(high), column(low), column(close).shift(1)
    size = pl.max_horizontal(h, before) - pl.min_horizontal(low_, before)
    there = h.is_not_null() & low_.is_not_null()
    known = before.is_not_null()
    if first == "range":
        known = known | (column(close).cum_count() <= 1)
    return pl.when(there & known).then(size)


def _wilder_bars(window: int, tolerance: float) -> int:
    return window + 1 + forgets(1 / window, tolerance)


@indicator("volatility", "change", _wilder_bars, (0.0, None))
def atr(
    high: Column,
    low: Column,
    close: Column,
    window: int = 14,
    mean: Literal["wilder", "simple"] = "wilder",
    first: First = "null",
) -> pl.Expr:
    """The mean true range, Wilder's mean or with mean="simple" the plain one.

    Null for `window` bars, one less with first="range", which counts the first bar's high − low;
    0 in a flat market; nulls are passed over (by the plain one: null while one is in sight).
    Source: Wilder 1978, TA-Lib ATR. A kernel.
    """
    if mean == "simple":
        return mean_of(true_range(high, low, close, first), whole(window))
    inputs = [column(high), column(low), column(close)]
    return kernel(mean_range, inputs, whole(window), first == "range")


@indicator(
    "volatility",
    "ratio",
    lambda window, tolerance: _wilder_bars(window, tolerance / 1e3),
    (0.0, None),
)
def natr(high: Column, low: Column, close: Column, window: int = 14) -> pl.Expr:
    """The mean true range in percent of the close: 100 × atr / close.

    Null for `window` bars; 0 in a flat market, and where the close is 0. Source: TA-Lib NATR.
    """
    return quotient(atr(high, low, close, window), column(close), 0.0) * 100


@indicator("volatility", "change", lambda window: window, (0.0, None))
def stddev(values: Column, window: int = 20, ddof: int = 0) -> pl.Expr:
    """The standard deviation of the last `window` values; ddof=1 for that of a sample.

    √(Σ (x − mean)² / (window − ddof)). 0 in a flat window; null until it is full, and while it
    holds a null. Source: TA-Lib STDDEV.
    """
    return deviation(column(values), whole(window), ddof)


@indicator("volatility", "variance", lambda window: window, (0.0, None))
def variance(values: Column, window: int = 20, ddof: int = 0) -> pl.Expr:
    """The variance of the last `window` values; ddof=1 for that of a sample.

    Σ (x − mean)² / (window − ddof). 0 in a flat window; null until it is full, and while it
    holds a null. Source: TA-Lib VAR.
    """
    return squares(column(values), whole(window)) / (window - ddof)


def _annual(mean_square: pl.Expr, bars_per_year: float) -> pl.Expr:
    return (mean_square.clip(lower_bound=0.0) * bars_per_year).sqrt()


@indicator("volatility", "ratio", lambda window: window, (0.0, None))
def parkinson(high: Column, low: Column, window: int = 20, bars_per_year: float = 1.0) -> pl.Expr:
    """Volatility a bar (or a year) from highs and lows: √(mean ln(high / low)² / (4 ln 2)).

    Five times as efficient as that of closes; knows no gaps and no drift. 0 in a flat market; null
    until the window is full, and while it holds a null. Source: Parkinson 1980.
    """
    span = (column(high) / column(low)).log()
    return _annual(mean_of(span**2, whole(window)) / (4 * math.log(2)), bars_per_year)


Square = Callable[..., pl.Expr]
"""The mean square of open, high, low, close over a window."""


def of_all_prices(more: int) -> Callable[[Square], Indicator[..., pl.Expr]]:
    """List the volatility whose mean square is given, which needs `more` bars than its window."""

    def listed(square: Square) -> Indicator[..., pl.Expr]:
        def made(
            open: Column,  # noqa: A002 - the column's name
            high: Column,
            low: Column,
            close: Column,
            window: int = 20,
            bars_per_year: float = 1.0,
        ) -> pl.Expr:
            prices = (column(one) for one in (open, high, low, close))
            return _annual(square(*prices, whole(window, least=1 + more)), bars_per_year)

        made.__name__, made.__doc__ = square.__name__, square.__doc__
        return indicator("volatility", "ratio", lambda window: window + more, (0.0, None))(made)

    return listed


@of_all_prices(0)
def garman_klass(o: pl.Expr, h: pl.Expr, low: pl.Expr, c: pl.Expr, window: int) -> pl.Expr:
    """Volatility a bar (or a year) from all four prices.

    √(mean(½ ln(high / low)² − (2 ln 2 − 1) ln(close / open)²)), 0 where that is below 0. Knows no
    gaps and no drift. Null until the window is full, and while it holds a null. Source: Garman and
    Klass 1980.
    """
    span, body = (h / low).log(), (c / o).log()
    return mean_of(span**2 / 2 - (2 * math.log(2) - 1) * body**2, window)


@of_all_prices(0)
def rogers_satchell(o: pl.Expr, h: pl.Expr, low: pl.Expr, c: pl.Expr, window: int) -> pl.Expr:
    """Volatility a bar (or a year) from all four prices, whatever the drift.

    √(mean(ln(h / c) ln(h / o) + ln(l / c) ln(l / o))). Knows no gaps. 0 in a flat market; null
    until the window is full, and while it holds a null. Source: Rogers and Satchell 1991.
    """
    return _drift_free(o, h, low, c, window)


def _drift_free(o: pl.Expr, h: pl.Expr, low: pl.Expr, c: pl.Expr, window: int) -> pl.Expr:
    o, h, low, c = (one.log() for one in (o, h, low, c))
    return mean_of((h - c) * (h - o) + (low - c) * (low - o), window)


@of_all_prices(1)
def yang_zhang(o: pl.Expr, h: pl.Expr, low: pl.Expr, c: pl.Expr, window: int) -> pl.Expr:
    """Volatility a bar (or a year) from all four prices, with gaps and whatever the drift.

    √(var(ln(open / close₋₁)) + k var(ln(close / open)) + (1 − k) × Rogers–Satchell), sample
    variances, k = 0.34 / (1.34 + (n + 1) / (n − 1)). Null for `window` bars, and while a null is
    in sight; 0 in a flat market. Source: Yang and Zhang 2000.
    """
    k = 0.34 / (1.34 + (window + 1) / (window - 1))
    night = squares(o.log() - c.log().shift(1), window) / (window - 1)
    day = squares(c.log() - o.log(), window) / (window - 1)
    return night + k * day + (1 - k) * _drift_free(o, h, low, c, window)


def _weight(decay: float) -> float:
    """That of the newest return."""
    if not 0 <= decay < 1:
        raise UsageError(f"decay is {decay!r}; expected a number of at least 0 and below 1")
    return 1 - decay


@indicator(
    "volatility",
    "ratio",
    lambda decay, tolerance: 2 + forgets(_weight(decay), tolerance**2),
    (0.0, None),
)
def ewma_volatility(close: Column, decay: float = 0.94, bars_per_year: float = 1.0) -> pl.Expr:
    """The exponential volatility of log returns, a bar or a year.

    s = √v, v = decay × v₋₁ + (1 − decay) × r², from the first r² on. Null for the first bar; nulls
    are passed over; 0 in a market that never moved. Source: RiskMetrics 1996.
    """
    return _annual(smooth(log_returns(close) ** 2, _weight(decay)), bars_per_year)
