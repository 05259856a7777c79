"""Backtests: targets in; trades, equity and metrics out. `cq.backtest(…)` runs one."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cq.backtest.account import Account, Costs, Fill, Intent, Order
    from cq.backtest.definitions import DEFINITIONS, METRICS, Metric
    from cq.backtest.engine import Simulation, simulate
    from cq.backtest.market import Fine, Habits, Level, Market, Orders, Rules
    from cq.backtest.result import BacktestResult
    from cq.backtest.single import run

_HOMES = {
    "account": ("Account", "Costs", "Fill", "Intent", "Order"),
    "definitions": ("DEFINITIONS", "METRICS", "Metric"),
    "engine": ("Simulation", "simulate"),
    "market": ("Fine", "Habits", "Level", "Market", "Orders", "Rules"),
    "result": ("BacktestResult",),
    "single": ("run",),
}

__all__ = [
    "DEFINITIONS",
    "METRICS",
    "Account",
    "BacktestResult",
    "Costs",
    "Fill",
    "Fine",
    "Habits",
    "Intent",
    "Level",
    "Market",
    "Metric",
    "Order",
    "Orders",
    "Rules",
    "Simulation",
    "run",
    "simulate",
]


class _Door(ModuleType):
    """The module, which may be called: `cq.backtest(lake, "strategy.yaml")`."""

    def __call__(self, *args: Any, **keywords: Any) -> BacktestResult:
        """Run one backtest; see `cq.backtest.door.backtest`."""
        found: BacktestResult = import_module(f"{__name__}.door").backtest(*args, **keywords)
        return found


sys.modules[__name__].__class__ = _Door


def __getattr__(name: str) -> Any:
    """Load what is asked for, so that bars can be read while the engine is imported."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
