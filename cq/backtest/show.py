"""Metrics as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cq.backtest.result import BacktestResult

NONE = "–"


def percent(value: float) -> str:
    """A fraction as a percentage; an immense one by its bound."""
    return "> 1,000,000 %" if value > 1e4 else f"{value * 100:,.2f} %"


def number(value: float) -> str:
    """Two decimals."""
    return f"{value:,.2f}"


def count(value: float) -> str:
    """A whole number."""
    return f"{value:,.0f}"


LABELS: dict[str, tuple[str, Callable[[float], str]]] = {
    "total_return": ("total return", percent),
    "buy_and_hold": ("buy and hold", percent),
    "annualized_return": ("annualized return", percent),
    "sharpe": ("Sharpe ratio", number),
    "max_dd": ("max drawdown", percent),
    "hit_rate": ("hit rate", percent),
    "payoff": ("payoff", number),
    "turnover": ("turnover a year", number),
    "trades": ("trades", count),
    "round_trips": ("round trips", count),
    "fees": ("fees", number),
    "slippage": ("slippage", number),
    "exposure": ("exposure", percent),
}


def shown(result: BacktestResult) -> list[tuple[str, str]]:
    """(label, text) of every metric, and the money at the start and at the end."""
    rows = [
        ("cash at the start", number(result.cash)),
        ("equity at the end", number(result.equity["equity"][-1])),
    ]
    for key, value in result.metrics.items():
        label, form = LABELS[key]
        rows.append((label, NONE if value is None else form(value)))
    return rows
