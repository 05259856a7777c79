"""Metrics of day returns: what they are like, how they fall, what they are worth, against others.

None where there are too few days or nothing varies.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from cq.backtest.intents import Floats
from cq.backtest.metrics import Metrics
from cq.backtest.sums import mean, total
from cq.errors import UsageError
from cq.stats.falls import falls_of
from cq.stats.sharpe import Moments, minimum_track_record, moments, probabilistic_sharpe

FEW: Final = 20
"""Days from which one in twenty is at least one."""


def ratio(above: float | None, below: float | None) -> float | None:
    """above / below; None where there is none of them, or nothing to divide by."""
    if above is None or not below or not math.isfinite(found := above / below):
        return None
    return found


def deviation(values: Floats) -> float | None:
    """The sample deviation; None of fewer than two values, or of values that never vary."""
    if values.size < 2:
        return None
    usual = mean(values)
    found = math.sqrt(total((values - usual) ** 2) / (values.size - 1))
    return found if found > 1e-12 * abs(usual) and found > 1e-15 else None


def spread(returns: Floats, per_year: float) -> Metrics:
    """Volatility and what the mean return is worth against it."""
    usual, year = mean(returns), math.sqrt(per_year)
    varies = deviation(returns)
    lost = math.sqrt(mean(np.minimum(returns, 0.0) ** 2))
    gained, gone = total(np.maximum(returns, 0.0)), -total(np.minimum(returns, 0.0))
    return {
        "volatility": None if varies is None else varies * year,
        "sharpe_daily": None if varies is None else usual / varies * year,
        "sortino": ratio(usual * year, lost),
        "omega": ratio(gained, gone),
    }


def falls(values: Floats, cash: float, length: float) -> Metrics:
    """How deep and how long the equity of days lay below its highs; `length` is that of a day."""
    if values.min() <= 0:  # shorts can lose more than there is
        none = ("max_dd_days", "avg_dd", "avg_dd_days", "drawdowns", "underwater", "ulcer")
        return dict.fromkeys(none)
    curve = np.concatenate(([cash], values))
    found = falls_of(curve)
    below = curve[1:] / np.maximum.accumulate(curve)[1:] - 1
    days = found.end - found.begin + (found.end < curve.size)
    deepest_first = np.lexsort((found.begin, found.depth))
    return {
        "max_dd_days": float(days.max(initial=0)) * length,
        "avg_dd": mean(found.depth[deepest_first]) if days.size else None,
        "avg_dd_days": mean(days[deepest_first].astype(np.float64)) * length if days.size else None,
        "drawdowns": days.size,
        "underwater": float(np.count_nonzero(below < 0)) / below.size,
        "ulcer": math.sqrt(mean(below**2)),
    }


def tails(returns: Floats) -> Metrics:
    """The worst days, the best, and the shape of what lies between."""
    found: Metrics = dict.fromkeys(("var_95", "cvar_95", "tail_ratio", "skewness", "kurtosis"))
    if returns.size >= FEW:
        low, high = (float(one) for one in np.quantile(returns, [0.05, 0.95]))
        found |= {
            "var_95": low,
            "cvar_95": mean(returns[returns <= low]),
            "tail_ratio": ratio(high, abs(low)),
        }
    if (shape := moments_of(returns)) is not None:
        found |= {"skewness": shape.skewness, "kurtosis": shape.kurtosis}
    return found | {
        "best_day": float(returns.max()),
        "worst_day": float(returns.min()),
        "positive_days": float(np.count_nonzero(returns > 0)) / returns.size,
    }


def moments_of(returns: Floats) -> Moments | None:
    """The moments of returns; None where they never vary, or where no float holds them."""
    try:
        return moments(returns) if deviation(returns) is not None else None
    except (UsageError, OverflowError, ZeroDivisionError):
        return None


def luck(returns: Floats, length: float) -> Metrics:
    """Whether the Sharpe ratio is more than luck; `length` is that of a day, in days."""
    shape = moments_of(returns)
    if shape is None or shape.variance <= 0:
        return {"psr": None, "min_track_record": None}
    needed = minimum_track_record(shape)
    return {
        "psr": probabilistic_sharpe(shape),
        "min_track_record": needed * length if math.isfinite(needed) else None,
    }


def against(returns: Floats, others: Floats, per_year: float, name: str) -> Metrics:
    """Beta, alpha and information ratio, held against the returns of something else."""
    beta, alpha, usual = None, None, mean(others)
    if deviation(others) is not None:
        away = others - usual
        beta = total(away * (returns - mean(returns))) / total(away * away)
        alpha = (mean(returns) - beta * usual) * per_year
    more = returns - others
    error = deviation(more)
    information = None if error is None else mean(more) / error * math.sqrt(per_year)
    return {f"beta_{name}": beta, f"alpha_{name}": alpha, f"information_{name}": information}
