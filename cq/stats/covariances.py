"""Covariance and correlation of returns: sampled, shrunk, freed of noise.

A frame of returns (`wide_returns`) goes in; a square frame (`symbol`, then a column a symbol) comes
out, in the units of the returns squared, a bar. Rows that lack a symbol's return are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from cq.errors import UsageError
from cq.stats.frames import Floats, matrix_of, square, unsquare

Estimator = Literal["sample", "ledoit_wolf", "oas"]
ESTIMATORS: Final[tuple[Estimator, ...]] = ("sample", "ledoit_wolf", "oas")


@dataclass(frozen=True)
class Shrunk:
    """A covariance drawn towards equal variances without correlation.

    `matrix` is (1 − shrinkage) · sample covariance (divided by n) + shrinkage · mean variance · I.
    """

    matrix: pl.DataFrame
    shrinkage: float


def covariance(returns: pl.DataFrame, estimator: Estimator = "sample") -> pl.DataFrame:
    """The covariance matrix: sampled (divided by n − 1), or shrunk by one of two rules."""
    if estimator == "sample":
        names, rows = matrix_of(returns)
        return square(names, np.atleast_2d(np.cov(rows, rowvar=False)))
    rules = {"ledoit_wolf": ledoit_wolf, "oas": oracle_approximating}
    if estimator not in rules:
        raise UsageError(f"no estimator {estimator!r}; there is {', '.join(ESTIMATORS)}")
    return rules[estimator](returns).matrix


def correlation(returns: pl.DataFrame, estimator: Estimator = "sample") -> pl.DataFrame:
    """The correlation matrix: ones on the diagonal; null where a symbol's return never varies."""
    names, matrix = unsquare(covariance(returns, estimator))
    return square(names, correlated(matrix)).with_columns(pl.col(names).fill_nan(None))


def correlated(matrix: Floats) -> Floats:
    """The correlations of a covariance matrix; NaN where a variance is zero."""
    spread = np.sqrt(np.diag(matrix))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = matrix / np.outer(spread, spread)
    found = np.clip(found, -1.0, 1.0)
    np.fill_diagonal(found, np.where(spread > 0, 1.0, np.nan))
    return found


def ledoit_wolf(returns: pl.DataFrame) -> Shrunk:
    """Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance".

    With S the covariance divided by n, μ its mean variance and ‖A‖² = Σ a² / p:
    shrinkage = min(Σ ‖x xᵀ − S‖² / n², ‖S − μI‖²) / ‖S − μI‖².
    """
    names, rows = matrix_of(returns)
    x = rows - rows.mean(axis=0)
    n, p = x.shape
    sample = x.T @ x / n
    mean = np.trace(sample) / p
    distance = float(((sample - mean * np.eye(p)) ** 2).sum()) / p
    squares = x**2
    scatter = float((squares.T @ squares / n - sample**2).sum()) / (n * p)
    shrinkage = min(scatter, distance) / distance if distance > 0 else 0.0
    return _shrunk(names, sample, mean, shrinkage)


def oracle_approximating(returns: pl.DataFrame) -> Shrunk:
    """Chen, Wiesel, Eldar and Hero (2010), "Shrinkage algorithms for MMSE covariance estimation".

    Equation 23, for returns near a normal distribution: with t = tr S² and u = (tr S)²,
    shrinkage = min(1, ((1 − 2/p) t + u) / ((n + 1 − 2/p)(t − u/p))). scikit-learn leaves out 2/p.
    """
    names, rows = matrix_of(returns)
    x = rows - rows.mean(axis=0)
    n, p = x.shape
    sample = x.T @ x / n
    trace = float(np.trace(sample))
    t, u = float((sample**2).sum()), trace**2
    below = (n + 1 - 2 / p) * (t - u / p)
    shrinkage = min(1.0, ((1 - 2 / p) * t + u) / below) if below > 0 else 1.0
    return _shrunk(names, sample, trace / p, shrinkage)


def _shrunk(names: list[str], sample: Floats, mean: float, shrinkage: float) -> Shrunk:
    made = (1 - shrinkage) * sample + shrinkage * mean * np.eye(len(names))
    return Shrunk(square(names, made), shrinkage)


def denoised(returns: pl.DataFrame) -> pl.DataFrame:
    """The sample covariance without what pure noise explains (constant residual eigenvalues).

    Eigenvalues of the correlation matrix up to Marchenko and Pastur's edge σ²(1 + √(p/n))² are
    replaced by their mean, which keeps their sum; σ² is that mean, found by repeating until it
    holds. López de Prado (2018), "Advances in Financial Machine Learning".
    Needs more rows than symbols; variances stay as they were.
    """
    names, rows = matrix_of(returns, least=3)
    n, p = rows.shape
    if n <= p:
        raise UsageError(f"{n} rows of {p} symbols; denoising needs more rows than symbols")
    sample = np.atleast_2d(np.cov(rows, rowvar=False))
    spread = np.sqrt(np.diag(sample))
    if not (spread > 0).all():
        still = names[int(np.argmin(spread))]
        raise UsageError(f"returns of {still} never vary; leave it out")
    values, vectors = np.linalg.eigh(correlated(sample))
    noise = noisy(values, p / n)
    if noise:
        values = np.concatenate([np.full(noise, values[:noise].mean()), values[noise:]])
    kept = correlated((vectors * values) @ vectors.T)
    return square(names, kept * np.outer(spread, spread))


def noisy(values: Floats, ratio: float) -> int:
    """How many of the ascending eigenvalues of a correlation matrix lie within noise's reach."""
    count = values.size
    while count:
        edge = float(values[:count].mean()) * (1 + np.sqrt(ratio)) ** 2
        within = int((values[:count] <= edge).sum())
        if within == count:
            return count
        count = within
    return 0
