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

    `probability`: how often the best strategy of one half lies in the lower half of the other.
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
    sums: npt.ArrayLike, squares: npt.ArrayLike, length: int, *, score: Score = "sharpe"
) -> Overfitting:
    """The same where of each trial (a column) only the sums of its returns, and of their squares,
    are known in each block (a row) of `length` returns."""
    if score not in get_args(Score):
        raise UsageError(f"no score {score!r}; there is {', '.join(get_args(Score))}")
    sums, squares = (np.asarray(one, dtype=np.float64) for one in (sums, squares))
    halves = _halves(sums.shape[0])
    ranks, inside, outside = _ranked(halves, sums, squares, length, score)
    logits = np.log(ranks / (1 - ranks))
    spread = float(inside.var())
    covariance = float(((inside - inside.mean()) * (outside - outside.mean())).mean())
    return Overfitting(
        probability=float((logits <= 0).mean()),
        loss=float((outside < 0).mean()),
        slope=covariance / spread if spread > 0 else 0.0,
        logits=logits,
        inside=inside,
        outside=outside,
    )


def _halves(blocks: int) -> Floats:
    """Every choice of half of the blocks: a row each, 1 for those that are in it."""
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    halves = np.zeros((len(chosen), blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    return halves


def _ranked(
    halves: Floats, sums: Floats, squares: Floats, length: int, score: Score
) -> tuple[Floats, Floats, Floats]:
    """Relative rank outside, score inside and outside, of each half's best trial."""
    trials = sums.shape[1]
    bars = length * halves.shape[1] // 2
    at_once = max(1, CHUNK // trials)
    found = []
    for first in range(0, len(halves), at_once):
        here = halves[first : first + at_once]
        inside = _scores(here @ sums, here @ squares, bars, score)
        outside = _scores((1 - here) @ sums, (1 - here) @ squares, bars, score)
        best = inside.argmax(axis=1)[:, None]
        theirs = np.take_along_axis(outside, best, axis=1)
        below = (outside < theirs).sum(axis=1) + ((outside == theirs).sum(axis=1) - 1) / 2
        mine = np.take_along_axis(inside, best, axis=1)
        found.append(np.column_stack([(below + 1) / (trials + 1), mine[:, 0], theirs[:, 0]]))
    ranks, inside, outside = np.concatenate(found).T
    return ranks, inside, outside


def _scores(sums: Floats, squares: Floats, bars: int, score: Score) -> Floats:
    mean = sums / bars
    if score == "mean":
        return mean
    variance = np.maximum(squares - bars * mean**2, 0) / (bars - 1)
    moves = variance > 1e-28
    return np.where(moves, mean / np.sqrt(np.where(moves, variance, 1)), 0.0)
