"""How much the price moves."""

from __future__ import annotations

import polars as pl

from cq.indicators.columns import column, fixed_point

_RETURN_DECIMALS = 12
_SQUARE_DECIMALS = 15


def log_returns(close: str | pl.Expr) -> pl.Expr:
    """ln(close / the close before); null for the first bar."""
    x = column(close)
    return (x / x.shift(1)).log()


def realised_volatility(close: str | pl.Expr, window: int, bars_per_year: float) -> pl.Expr:
    """Sample deviation of the last `window` log returns, annualised; null for `window` bars.

    Summed in fixed point, so that the same bars give the same bits everywhere; a return counts
    at most ±1 (a factor of 2.7 in one bar).
    """
    change = log_returns(close).clip(-1.0, 1.0)
    total = fixed_point(change, _RETURN_DECIMALS).rolling_sum(window) / 10.0**_RETURN_DECIMALS
    squares = fixed_point(change * change, _SQUARE_DECIMALS).rolling_sum(window)
    spread = squares / 10.0**_SQUARE_DECIMALS - total * total / window
    return (spread.clip(lower_bound=0.0) * (bars_per_year / (window - 1))).sqrt()
