"""How much of the best of many trials is luck: deflated Sharpe ratios, and overfitting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from cq.backtest.days import Days, growth
from cq.backtest.intents import Floats, Ints
from cq.backtest.risk import moments_of
from cq.backtest.tried import best_of_each, tried
from cq.stats.overfitting import Overfitting, overfitting_of_blocks
from cq.stats.sharpe import deflated_sharpe, probabilistic_sharpe
from cq.sweeps.identity import KEY

SCORES: Final = 4_000_000
"""Splits × trials that are looked at, at the most, if that leaves FEWEST splits; else these."""
FEWEST: Final = 1_000


@dataclass(frozen=True)
class Deflated:
    """What a Sharpe ratio is worth after so many were tried.

    `probabilistic` takes it for the only one, `deflated` for the best of `tried`; both are the
    probability that the true ratio is above zero.
    """

    probabilistic: float | None
    deflated: float | None
    tried: int


def ratios(runs: Path | None, identities: pl.DataFrame, sharpes: pl.Series) -> Floats:
    """The Sharpe ratios a year of all that was tried: these trials, and those in `runs`.

    What is known by the same key counts once, with its best; what never traded has a ratio of 0.
    """
    every: dict[str, float] = {}
    if runs is not None and not identities.is_empty():
        every = tried(runs, json.loads(identities["config"][0]))
    every |= best_of_each(zip(identities[KEY], sharpes.fill_null(0.0), strict=True))
    return np.array(list(every.values()), dtype=np.float64)


def deflated(ts: Ints, equity: Floats, cash: float, interval: str, tries: Floats) -> Deflated:
    """Of the run with this curve, day by day; `tries` are the annual ratios of all trials."""
    days = Days.of(ts, interval)
    found = moments_of(growth(equity[days.rows], cash))
    if found is None or found.variance <= 0:
        return Deflated(None, None, int(tries.size))
    variance = float(tries.var(ddof=1)) / days.per_year if tries.size > 1 else 0.0
    return Deflated(
        probabilistic_sharpe(found),
        deflated_sharpe(found, max(int(tries.size), 1), variance),
        int(tries.size),
    )


def overfitting(sums: Sequence[Floats], squares: Sequence[Floats], each: int) -> Overfitting | None:
    """PBO of trials whose returns are known block by block; None of too few, or too short."""
    if len(sums) < 2 or each < 2 or any(one.size == 0 for one in sums):
        return None
    splits = max(FEWEST, SCORES // len(sums))
    return overfitting_of_blocks(np.array(sums).T, np.array(squares).T, each, splits=splits)


def as_json(found: Overfitting | None) -> dict[str, Any] | None:
    """Its numbers, without the splits."""
    if found is None:
        return None
    return {
        "probability": found.probability, "loss": found.loss, "slope": found.slope,
        "splits": int(found.logits.size),
    }  # fmt: skip
