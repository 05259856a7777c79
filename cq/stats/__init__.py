"""Returns, covariances, drawdowns, and how much of a result is luck."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cq.stats.bootstrap import Interval, confidence_interval
    from cq.stats.covariances import (
        ESTIMATORS,
        Shrunk,
        correlation,
        covariance,
        denoised,
        ledoit_wolf,
        oracle_approximating,
    )
    from cq.stats.falls import drawdowns, max_drawdown
    from cq.stats.frames import square, wide, wide_returns
    from cq.stats.overfitting import Overfitting, backtest_overfitting, overfitting_of_blocks
    from cq.stats.returns import (
        cumulative_returns,
        drawdown,
        ewma_deviation,
        rolling_deviation,
        rolling_mean,
        rolling_sharpe,
        rolling_volatility,
        simple_returns,
    )
    from cq.stats.sharpe import (
        Moments,
        deflated_sharpe,
        expected_best,
        minimum_track_record,
        moments,
        probabilistic_sharpe,
    )

_HOMES = {
    "bootstrap": ("Interval", "confidence_interval"),
    "covariances": (
        "ESTIMATORS",
        "Shrunk",
        "correlation",
        "covariance",
        "denoised",
        "ledoit_wolf",
        "oracle_approximating",
    ),
    "falls": ("drawdowns", "max_drawdown"),
    "frames": ("square", "wide", "wide_returns"),
    "overfitting": ("Overfitting", "backtest_overfitting", "overfitting_of_blocks"),
    "returns": (
        "cumulative_returns",
        "drawdown",
        "ewma_deviation",
        "rolling_deviation",
        "rolling_mean",
        "rolling_sharpe",
        "rolling_volatility",
        "simple_returns",
    ),
    "sharpe": (
        "Moments",
        "deflated_sharpe",
        "expected_best",
        "minimum_track_record",
        "moments",
        "probabilistic_sharpe",
    ),
}

__all__ = [
    "ESTIMATORS",
    "Interval",
    "Moments",
    "Overfitting",
    "Shrunk",
    "backtest_overfitting",
    "confidence_interval",
    "correlation",
    "covariance",
    "cumulative_returns",
    "deflated_sharpe",
    "denoised",
    "drawdown",
    "drawdowns",
    "ewma_deviation",
    "expected_best",
    "ledoit_wolf",
    "max_drawdown",
    "minimum_track_record",
    "moments",
    "oracle_approximating",
    "overfitting_of_blocks",
    "probabilistic_sharpe",
    "rolling_deviation",
    "rolling_mean",
    "rolling_sharpe",
    "rolling_volatility",
    "simple_returns",
    "square",
    "wide",
    "wide_returns",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for: a backtest needs two of these files, and quickly."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
