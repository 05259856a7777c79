"""Backtests: targets in; trades, equity and metrics out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cq.backtest.account import Account, Costs, Fill, Intent, Order
    from cq.backtest.metrics import DEFINITIONS
    from cq.backtest.result import BacktestResult
    from cq.backtest.single import run

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

_HOMES = {"DEFINITIONS": "metrics", "BacktestResult": "result", "run": "single"}


def __getattr__(name: str) -> Any:
    """Load what is asked for, so that bars can be read while the engine is imported."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'account')}"), name)
