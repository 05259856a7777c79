"""Indicators: columns in, one expression out."""

from cq.indicators.columns import CLOSE, column, fixed_point, in_time_order, one_market
from cq.indicators.trend import ema, sma, sma_above
from cq.indicators.volatility import log_returns, realised_volatility

__all__ = [
    "CLOSE",
    "column",
    "ema",
    "fixed_point",
    "in_time_order",
    "log_returns",
    "one_market",
    "realised_volatility",
    "sma",
    "sma_above",
]
