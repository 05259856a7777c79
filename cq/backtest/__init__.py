"""Backtests: targets in; trades, equity and metrics out."""

from cq.backtest.account import Account, Costs, Fill, Intent, Order
from cq.backtest.metrics import DEFINITIONS
from cq.backtest.result import BacktestResult
from cq.backtest.run import run

__all__ = [
    "DEFINITIONS",
    "Account",
    "BacktestResult",
    "Costs",
    "Fill",
    "Intent",
    "Order",
    "run",
]
