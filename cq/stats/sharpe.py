"""What a Sharpe ratio is worth, given how long, how skewed and how often tried it is.

Ratios here are of one bar (not annualised) unless said: `annual / √(bars a year)` makes one of the
other. Kurtosis is the plain one: 3 for a normal distribution.

Sources: Bailey and López de Prado (2012), "The Sharpe ratio efficient frontier", and (2014), "The
deflated Sharpe ratio: correcting for selection bias, backtest overfitting and non-normality".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from cq.errors import UsageError

NORMAL: Final = NormalDist()
EULER: Final = 0.5772156649015329


@dataclass(frozen=True)
class Moments:
    """What a series of returns says of its Sharpe ratio."""

    count: int
    sharpe: float
    skewness: float = 0.0
    kurtosis: float = 3.0

    @property
    def variance(self) -> float:
        """Of the estimated ratio, times (count − 1): 1 − γ₃ SR + (γ₄ − 1)/4 SR²."""
        return 1 - self.skewness * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2


def moments(returns: npt.ArrayLike) -> Moments:
    """Count, Sharpe ratio of one bar, skewness and kurtosis of returns; they have to vary."""
    x = np.asarray(returns, dtype=np.float64)
    if x.ndim != 1 or x.size < 2 or not np.isfinite(x).all():
        raise UsageError("a Sharpe ratio needs at least two finite returns")
    away = x - x.mean()
    second = float((away**2).mean())
    if second <= (1e-14 * abs(float(x.mean()))) ** 2:
        raise UsageError("these returns never vary; there is no Sharpe ratio")
    return Moments(
        x.size,
        float(x.mean() / x.std(ddof=1)),
        float((away**3).mean()) / second**1.5,
        float((away**4).mean()) / second**2,
    )


def probabilistic_sharpe(found: Moments, benchmark: float = 0.0) -> float:
    """The probability that the true ratio is above `benchmark` (of one bar, as `found` is).

    Φ((SR − SR*) √(n − 1) / √(1 − γ₃ SR + (γ₄ − 1)/4 SR²)).
    """
    if found.variance <= 0:
        raise UsageError(
            f"skewness {found.skewness:g} and kurtosis {found.kurtosis:g} cannot go together "
            f"with a Sharpe ratio of {found.sharpe:g}"
        )
    distance = (found.sharpe - benchmark) * math.sqrt(found.count - 1)
    return NORMAL.cdf(distance / math.sqrt(found.variance))


def expected_best(trials: int, variance: float) -> float:
    """The Sharpe ratio that the best of `trials` worthless strategies is expected to show.

    √variance · ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))), with `variance` that of the trials'
    ratios and γ Euler's constant; 0 for a single trial.
    """
    if trials < 1 or variance < 0:
        raise UsageError("expected at least one trial and a variance of at least 0")
    if trials == 1:
        return 0.0
    first = NORMAL.inv_cdf(1 - 1 / trials)
    second = NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - EULER) * first + EULER * second)


def deflated_sharpe(found: Moments, trials: int, variance: float) -> float:
    """The probability that the true ratio is above zero after the best of `trials` was picked.

    `variance` is that of the ratios of all trials (of one bar). Trials count as independent; of
    correlated ones the number of distinct ones is meant.
    """
    return probabilistic_sharpe(found, expected_best(trials, variance))


def minimum_track_record(found: Moments, benchmark: float = 0.0, level: float = 0.95) -> float:
    """How many returns make the ratio significant: above `benchmark` with probability `level`.

    1 + (1 − γ₃ SR + (γ₄ − 1)/4 SR²) (Φ⁻¹(level) / (SR − SR*))²; infinite where SR is not above.
    """
    if found.sharpe <= benchmark:
        return math.inf
    return 1 + found.variance * (NORMAL.inv_cdf(level) / (found.sharpe - benchmark)) ** 2
