"""Returns and how they move, as column expressions: per symbol under `in_time_order`."""

from __future__ import annotations

from math import sqrt

import polars as pl

from cq.indicators.columns import column
from cq.indicators.registry import whole
from cq.indicators.windows import deviation, mean_of
from cq.utils.time import bars_per_year


def simple_returns(close: str | pl.Expr) -> pl.Expr:
    """close / the close before − 1; null for the first bar."""
    return column(close) / column(close).shift(1) - 1


def cumulative_returns(returns: str | pl.Expr, *, logarithmic: bool = False) -> pl.Expr:
    """Growth since the start as a fraction: ∏(1 + r) − 1, or exp(Σ r) − 1 of log returns.

    A null return counts as a bar without a move.
    """
    r = column(returns).fill_null(0.0)
    return (r.cum_sum().exp() if logarithmic else (1 + r).cum_prod()) - 1


def rolling_mean(returns: str | pl.Expr, window: int) -> pl.Expr:
    """The mean return of the last `window` bars; null until there are as many."""
    return mean_of(column(returns), whole(window))


def rolling_deviation(returns: str | pl.Expr, window: int) -> pl.Expr:
    """The sample deviation (n − 1) of the last `window` returns; null until there are as many."""
    return deviation(column(returns), whole(window, least=2), 1)


def rolling_volatility(returns: str | pl.Expr, window: int, interval: str) -> pl.Expr:
    """`rolling_deviation` a year of 365 days: times √(bars of `interval` in a year)."""
    return rolling_deviation(returns, window) * sqrt(bars_per_year(interval))


def rolling_sharpe(returns: str | pl.Expr, window: int, interval: str) -> pl.Expr:
    """Mean over sample deviation of the last `window` returns, annualised; no risk-free rate.

    Null until there are as many, and where nothing moved.
    """
    spread = rolling_deviation(returns, window)
    ratio = rolling_mean(returns, window) / pl.when(spread > 0).then(spread)
    return ratio * sqrt(bars_per_year(interval))


def ewma_deviation(returns: str | pl.Expr, decay: float = 0.94) -> pl.Expr:
    """RiskMetrics' deviation: √v with v = decay · v + (1 − decay) · r², v starting at the first r².

    Null until the first return; nulls after it leave the variance as it is.
    """
    squares = column(returns) ** 2
    return squares.ewm_mean(alpha=1 - decay, adjust=False, ignore_nulls=True).sqrt()


def drawdown(equity: str | pl.Expr) -> pl.Expr:
    """How far a curve lies below its highest point so far, as a fraction ≤ 0."""
    return column(equity) / column(equity).cum_max() - 1
