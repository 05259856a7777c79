"""Metrics as people read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from cq.backtest.definitions import BY_NAME

if TYPE_CHECKING:
    from cq.backtest.metrics import Metrics
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


def days(value: float) -> str:
    """Days; of short times to two decimals."""
    return f"{value:,.0f} d" if value >= 10 else f"{value:,.2f} d"


FORMS: Final[dict[str, Callable[[float], str]]] = {
    "fraction": percent,
    "ratio": number,
    "quote": number,
    "days": days,
    "count": count,
    "a year": number,
}
BRIEF: Final = (
    *("total_return", "buy_and_hold", "equal_weight", "annualized_return", "volatility", "sharpe"),
    *("sortino", "max_dd", "max_dd_days", "hit_rate", "payoff", "profit_factor", "trades"),
    *("round_trips", "turnover", "fees", "slippage", "exposure", "psr"),
)
"""What a run prints; `--metrics` prints all."""


def text(name: str, value: float | None) -> str:
    """A metric's value as people read it."""
    return NONE if value is None else FORMS[BY_NAME[name].unit](value)


def shown(
    result: BacktestResult, names: Sequence[str] = BRIEF, luck: Metrics | None = None
) -> list[tuple[str, str]]:
    """(label, text) of the metrics and of `luck`, after the money at the start and at the end."""
    rows = [
        ("cash at the start", number(result.cash)),
        ("equity at the end", number(result.equity["equity"][-1])),
    ]
    known = result.metrics | (luck or {})
    told = [*names, *(luck or {})]
    return rows + [(BY_NAME[name].label, text(name, known[name])) for name in told]
