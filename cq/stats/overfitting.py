"""How probable it is that the best of many back-tests is the best by luck.

Combinatorially symmetric cross-validation: Bailey, Borwein, López de Prado and Zhu (2017), "The
probability of backtest overfitting".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from cq.errors import UsageError
from cq.stats.frames import Floats

Score = Literal["sharpe", "mean"]
MOST: Final = 20_000
"""Splits that are looked at, at the most: all of 16 blocks are 12,870."""
CHUNK: Final = 2_000_000


@dataclass(frozen=True)
class Overfitting:
    """What all the splits say; a row of the arrays is a split.

    `probability`: how often the best strategy of one half lies in the lower half of the other; in
    the very middle counts one half, so that of trials that cannot be told apart, as of noise, it is
    one half. (The paper asks for the mass of logits below zero, and does not say what is at zero.)
    `loss`: how often it loses money there. `slope`: of its score there against its score here;
    below zero the better it looked, the worse it was. `logits`: of its relative rank.
    """

    probability: float
    loss: float
    slope: float
    logits: Floats
    inside: Floats
    outside: Floats


def backtest_overfitting(
    returns: npt.ArrayLike, *, blocks: int = 16, score: Score = "sharpe"
) -> Overfitting:
    """PBO of trials: `returns` has a row a bar and a column a trial.

    The bars are cut into `blocks` equal stretches in order of time (what is left over at the start
    is dropped); each choice of half of them is once the half in which the best is picked.
    """
    rows = np.asarray(returns, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] < 2 or not np.isfinite(rows).all():
        raise UsageError("expected finite returns with a row a bar and at least two columns")
    if blocks < 2 or blocks % 2 or comb(blocks, blocks // 2) > MOST:
        raise UsageError(f"blocks is {blocks}; expected an even number from 2 to 16")
    length = rows.shape[0] // blocks
    if length < 2:
        raise UsageError(f"{rows.shape[0]} bars are too few for {blocks} blocks of at least two")
    cut = rows[rows.shape[0] - length * blocks :].reshape(blocks, length, -1)
    return overfitting_of_blocks(cut.sum(axis=1), (cut**2).sum(axis=1), length, score=score)


def overfitting_of_blocks(
    sums: npt.ArrayLike,
    squares: npt.ArrayLike,
    length: int,
    *,
    score: Score = "sharpe",
    splits: int = MOST,
) -> Overfitting:
    """The same where of each trial (a column) only the sums of its returns, and of their squares,
    are known in each block (a row) of `length` returns.

    Where there are more than `splits` ways to halve the blocks, so many are drawn, always the same
    ones, each with its mirror image.
    """
    if score not in get_args(Score):
        raise UsageError(f"no score {score!r}; there is {', '.join(get_args(Score))}")
    sums, squares = (np.asarray(one, dtype=np.float64) for one in (sums, squares))
    halves = _drawn(_halves(sums.shape[0]), splits)
    ranks, inside, outside = _ranked(halves, *_alike(sums, squares), length, score)
    logits = np.log(ranks / (1 - ranks))
    spread = float(inside.var())
    covariance = float(((inside - inside.mean()) * (outside - outside.mean())).mean())
    return Overfitting(
        probability=share_below(logits, 0.0),
        loss=float((outside < 0).mean()),
        slope=covariance / spread if spread > 0 else 0.0,
        logits=logits,
        inside=inside,
        outside=outside,
    )


def share_below(ranks: npt.ArrayLike, middle: float) -> float:
    """Which share of ranks lies below the middle; in it counts one half."""
    ranks = np.asarray(ranks, dtype=np.float64)
    return float(np.where(ranks == middle, 0.5, ranks < middle).mean())


def _halves(blocks: int) -> Floats:
    """Every choice of half of the blocks that has the first one: a row each, 1 for those that are
    in it. What is not is the choice that mirrors it."""
    chosen = np.array([(0, *rest) for rest in combinations(range(1, blocks), blocks // 2 - 1)])
    halves = np.zeros((len(chosen), blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    return halves


def _drawn(halves: Floats, splits: int) -> Floats:
    """So many of them that they make `splits` with their mirror images; in their order."""
    count = max(1, splits // 2)
    if count >= len(halves):
        return halves
    places = np.random.default_rng(0).choice(len(halves), count, replace=False)
    drawn: Floats = halves[np.sort(places)]
    return drawn


def _alike(sums: Floats, squares: Floats) -> tuple[Floats, Floats, Floats]:
    """The columns without repetition, in their order, and how often each is there.

    A product of matrices may differ in the last bit between two columns that are the same, which
    then would be no tie.
    """
    places: dict[bytes, list[int]] = {}
    for place, column in enumerate(np.concatenate([sums, squares]).T):
        places.setdefault(column.tobytes(), []).append(place)
    kept = [one[0] for one in places.values()]
    counts = np.array([len(one) for one in places.values()], dtype=np.float64)
    return sums[:, kept], squares[:, kept], counts


def _ranked(
    halves: Floats, sums: Floats, squares: Floats, counts: Floats, length: int, score: Score
) -> tuple[Floats, Floats, Floats]:
    """Relative rank outside, score inside and outside, of the best trial of each half, and of each
    mirror image: of trials that tie inside the first, and outside the middle one of those that tie.

    A column stands for as many trials as `counts` says.
    """
    bars = length * halves.shape[1] // 2
    at_once = max(1, CHUNK // sums.shape[1])
    found = []
    for first in range(0, len(halves), at_once):
        here = halves[first : first + at_once]
        one = _scores(here @ sums, here @ squares, bars, score)
        other = _scores((1 - here) @ sums, (1 - here) @ squares, bars, score)
        found += [_of_best(one, other, counts), _of_best(other, one, counts)]
    ranks, inside, outside = np.concatenate(found).T
    return ranks, inside, outside


def _of_best(inside: Floats, outside: Floats, counts: Floats) -> Floats:
    """Relative rank outside, score inside and outside, of each row's best."""
    best = inside.argmax(axis=1)[:, None]
    mine, theirs = (np.take_along_axis(one, best, axis=1) for one in (inside, outside))
    below, tied = (outside < theirs) @ counts, (outside == theirs) @ counts
    ranks = (below + (tied - 1) / 2 + 1) / (counts.sum() + 1)
    return np.column_stack([ranks, mine[:, 0], theirs[:, 0]])


def _scores(sums: Floats, squares: Floats, bars: int, score: Score) -> Floats:
    mean = sums / bars
    if score == "mean":
        return mean
    variance = np.maximum(squares - bars * mean**2, 0) / (bars - 1)
    moves = variance > 1e-28
    return np.where(moves, mean / np.sqrt(np.where(moves, variance, 1)), 0.0)
