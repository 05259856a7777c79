"""How sure a number is: the same statistic of many samples drawn from the same values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cq.errors import UsageError
from cq.stats.frames import Floats

Statistic = Callable[[Floats], Floats]
"""Takes an array of samples, a row each; gives one number a row."""

CHUNK: Final = 4_000_000
"""Values that are held at once."""


@dataclass(frozen=True)
class Interval:
    """What a statistic is, and between what it lies with probability `level`."""

    estimate: float
    low: float
    high: float
    level: float


def confidence_interval(
    values: npt.ArrayLike,
    statistic: Statistic,
    *,
    level: float = 0.95,
    samples: int = 2000,
    block: int = 1,
    seed: int = 0,
) -> Interval:
    """The percentile interval of `statistic` over bootstrap samples of `values`.

    Returns follow each other, so they are drawn in runs: `block` is the mean length of runs whose
    lengths vary geometrically, joined end to start (the stationary bootstrap of Politis and
    Romano, 1994); 1 draws every value on its own. The same seed gives the same interval.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size < 2 or not np.isfinite(x).all():
        raise UsageError("a bootstrap needs at least two finite values in one row")
    if not (0 < level < 1 and samples >= 1 and 1 <= block <= x.size):
        raise UsageError("expected 0 < level < 1, samples ≥ 1 and 1 ≤ block ≤ number of values")
    drawn = np.sort(statistics_of(x, statistic, samples, block, np.random.default_rng(seed)))
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(statistic(x[None, :])[0]), float(low), float(high), level)


def statistics_of(
    x: Floats, statistic: Statistic, samples: int, block: int, random: np.random.Generator
) -> Floats:
    """The statistic of each of `samples` samples of `x`."""
    at_once = max(1, CHUNK // x.size)
    found = []
    for first in range(0, samples, at_once):
        count = min(at_once, samples - first)
        found.append(statistic(x[resampled(x.size, count, block, random)]))
    return np.concatenate(found)


def resampled(
    size: int, samples: int, block: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """`samples` rows of `size` positions: runs that begin anywhere and go round at the end."""
    begins = random.random((samples, size)) < 1 / block
    begins[:, 0] = True
    starts = random.integers(0, size, (samples, size))
    at = np.arange(size)
    latest = np.maximum.accumulate(np.where(begins, at, 0), axis=1)
    return (np.take_along_axis(starts, latest, axis=1) + at - latest) % size


def mean(samples: Floats) -> Floats:
    """The mean of each sample."""
    return np.asarray(samples.mean(axis=1))


def sharpe(samples: Floats) -> Floats:
    """Mean over sample deviation of each sample, a bar; 0 where nothing moves."""
    spread = samples.std(axis=1, ddof=1)
    return np.where(spread > 0, samples.mean(axis=1) / np.where(spread > 0, spread, 1), 0.0)
