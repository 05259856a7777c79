"""Combinatorial purged cross-validation: every choice of some stretches of time tested once.

Parameters are chosen on the other stretches, less the bars whose signals still look back on a
tested one. The tests are put together to whole histories, none of which was chosen on.
López de Prado (2018), "Advances in financial machine learning", chapter 12.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from cq.backtest.days import growth, until_ruin
from cq.backtest.engine import simulate
from cq.backtest.intents import Floats, Ints
from cq.errors import CqError, DataError, UsageError
from cq.stats.overfitting import share_below
from cq.sweeps.alone import Run
from cq.sweeps.door import Collected, How, Setting, configuration
from cq.sweeps.figures import Asked, Failed, Trial, in_blocks, of_run
from cq.sweeps.folds import Groups
from cq.sweeps.ground import Ground
from cq.sweeps.identity import Identities, frame_of_identities
from cq.sweeps.result import column_of, frame_of
from cq.sweeps.runner import Runner
from cq.sweeps.space import Axis
from cq.sweeps.walkforward import every, moments_of, purge_of, whole_ground
from cq.utils.time import bars_per_year

LEAST = 20
"""Bars that a group has at least."""


@dataclass(frozen=True)
class CrossValidation:
    """What was chosen on each split and what it came to where it was tested.

    `splits`: a row each: the groups that were tested, the choice, its Sharpe ratio a year before
    and after, and its rank among all trials after (1 is the best, 0 the worst). `paths`: a row for
    each history put together of the tests. `overfit` is the share of ranks below one half,
    one half itself counting half; `warnings` are what a backtest of the first trial would warn of.
    """

    name: str
    symbols: tuple[str, ...]
    interval: str
    axes: tuple[Axis, ...]
    groups: Groups
    splits: pl.DataFrame
    paths: pl.DataFrame
    overfit: float
    trials: pl.DataFrame
    identities: pl.DataFrame = field(repr=False)
    skipped: tuple[int, str | None]
    failed: tuple[int, str | None]
    warnings: tuple[str, ...]
    config: dict[str, Any] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """All of it but the trials."""
        return {
            "strategy": self.name, "symbols": list(self.symbols), "interval": self.interval,
            "groups": self.groups.count, "tested": self.groups.tested,
            "splits": self.splits.to_dicts(), "paths": self.paths.to_dicts(),
            "overfit": self.overfit, "trials": self.trials.height,
            "skipped": self.skipped[0], "failed": self.failed[0],
            "warnings": list(self.warnings), "config": self.config,
        }  # fmt: skip


@dataclass
class Sums:
    """Of each trial: sums of returns and of their squares, group by group; and of the first bars
    of each group whose signals look back on an earlier one (earlier, later)."""

    whole: list[Floats] = field(default_factory=list)
    head: list[Floats] = field(default_factory=list)

    def add(self, returns: Floats, edges: Ints, ends: Ints) -> None:
        """Take in a trial: (count, sum, sum of squares) a group; bars that look back on a group
        end at its place in `ends`."""
        spans = list(itertools.pairwise(edges.tolist()))
        self.whole.append(np.array([_sums(returns[a:b]) for a, b in spans]))
        heads = np.zeros((len(spans), len(spans), 3))
        for group, end in enumerate(ends.tolist()):
            for later, (a, b) in enumerate(spans):
                if later > group and end > a:
                    heads[group, later] = _sums(returns[a : min(end, b)])
        self.head.append(heads)


def _sums(returns: Floats) -> tuple[float, float, float]:
    return float(returns.size), float(returns.sum()), float((returns**2).sum())


def cross_validate(
    setting: Setting,
    axes: tuple[Axis, ...],
    how: How,
    groups: Groups,
    purge: str | int = "auto",
    progress: Callable[[int], None] = lambda _: None,
) -> CrossValidation:
    """Choose by Sharpe ratio on each split, and test the choice on what was set aside."""
    if how.sort != "sharpe":
        raise UsageError("--cpcv chooses by the Sharpe ratio; leave --sort out")
    runner = Runner(setting.recipe, setting.ground, how.workers)
    asked, skipped = every(axes, runner, how)
    ground, _, _ = whole_ground(setting, asked)
    left_out = purge_of(purge, asked, ground)
    found, sums, kept = Collected(), Sums(), []
    markets, pairs = moments_of(ground), None
    for one in asked:
        try:
            trial, returns, ts = _run(ground, one)
        except CqError as error:
            found.add(Failed(one.number, one.params, error))
            continue
        if pairs is None:  # trials have the same bars
            _check(ts.size, groups, left_out)
            edges, ends = groups.edges(ts.size), groups.looked_back_on(ts, markets, left_out)
            pairs = [groups.left_out(split, ends, edges) for split in groups.splits]
        found.add(trial)
        sums.add(returns, edges, ends)
        kept.append(one)
        progress(1)
    found.check()
    assert pairs is not None
    scored = _scored(np.array(sums.whole), np.array(sums.head), groups, pairs)
    strategy = asked[0].strategy
    year = math.sqrt(bars_per_year(strategy.config.interval))
    splits = _splits(groups, kept, scored, year, [one.name for one in axes])
    trials = frame_of(found.rows, found.params, [one.name for one in axes])
    config = configuration(setting, ground, strategy, axes)
    extent = {name: config["data"][name] for name in ("first_ts", "last_ts", "rows")}
    made = Identities(setting.settings)
    return CrossValidation(
        name=strategy.name,
        symbols=ground.symbols,
        interval=strategy.config.interval,
        axes=axes,
        groups=groups,
        splits=splits,
        paths=_paths(ground, groups, kept, scored[0], year),
        overfit=share_below(splits["rank"].to_numpy(), 0.5),
        trials=trials,
        skipped=skipped,
        failed=(found.failed, None if found.why_failed is None else str(found.why_failed)),
        warnings=_doubts(ground, kept[0]),
        identities=frame_of_identities(
            made.of(one.strategy, ground.symbols) | extent for one in kept
        ),
        config=config
        | {"cpcv": {"groups": groups.count, "tested": groups.tested, "purge_bars": left_out}},
    )


def _run(ground: Ground, one: Asked) -> tuple[Trial, Floats, Ints]:
    """A trial over all of the period, the returns of its bars, and when they open."""
    settings = one.strategy.backtest(ground.settings)
    _, markets, rules, first = ground.markets(one.strategy, settings)
    made = simulate(markets, rules, first)
    figures, marks = of_run(made, markets, rules, ground.clock)
    returns = growth(made.equity, rules.cash)
    blocks = in_blocks(marks, rules.cash)
    trial = Trial(one.number, one.params, figures, rules.cash, *blocks)
    return trial, until_ruin(returns), made.ts


def _doubts(ground: Ground, one: Asked) -> tuple[str, ...]:
    parts, markets, rules, first = ground.markets(
        one.strategy, one.strategy.backtest(ground.settings)
    )
    made = simulate(markets, rules, first)
    return Run(one.strategy, ground, parts, markets, rules, made).doubts()


def _check(size: int, groups: Groups, purge: int) -> None:
    if size // groups.count < max(LEAST, purge + 1):
        raise DataError(
            f"{size} bars make groups of {size // groups.count}, too few where signals look back "
            f"on {purge}; take fewer groups, a longer period, or --purge N"
        )


def _scored(
    whole: Floats, head: Floats, groups: Groups, left_out: Sequence[Sequence[tuple[int, int]]]
) -> tuple[list[int], list[float], Floats]:
    """Of each split: the best trial of what it was chosen on, its score there, and all scores
    where it was tested (a row a split)."""
    best, inside, outside = [], [], []
    for split, pairs in zip(groups.splits, left_out, strict=True):
        tested = np.zeros(groups.count, dtype=bool)
        tested[list(split)] = True
        trained = whole[:, ~tested].sum(axis=1)
        if pairs:
            earlier, later = zip(*pairs, strict=True)
            trained = trained - head[:, list(earlier), list(later)].sum(axis=1)
        if not trained[0, 0]:
            raise DataError(_nothing_left(split))
        scores = _sharpe(trained)
        best.append(int(scores.argmax()))
        inside.append(float(scores.max()))
        outside.append(_sharpe(whole[:, tested].sum(axis=1)))
    return best, inside, np.array(outside)


def _nothing_left(split: tuple[int, ...]) -> str:
    tested = ", ".join(str(group + 1) for group in split)
    return (
        f"nothing is left to choose on where group {tested} is tested: signals of all other bars "
        "look back on it; take fewer groups, a longer period, or --purge N"
    )


def _sharpe(sums: Floats) -> Floats:
    count, total, squares = sums.T
    mean = total / count
    variance = np.maximum(squares - count * mean**2, 0.0) / np.maximum(count - 1, 1)
    moves = variance > 1e-28
    return np.where(moves, mean / np.sqrt(np.where(moves, variance, 1.0)), 0.0)


def _splits(
    groups: Groups,
    asked: Sequence[Asked],
    scored: tuple[list[int], list[float], Floats],
    year: float,
    names: list[str],
) -> pl.DataFrame:
    rows = []
    for split, best, inside, outside in zip(groups.splits, *scored, strict=True):
        mine = outside[best]
        below = float((outside < mine).sum() + ((outside == mine).sum() - 1) / 2)
        rank = below / (outside.size - 1) if outside.size > 1 else 0.5
        params = {column_of(name): asked[best].params[name] for name in names}
        tested = ",".join(str(group + 1) for group in split)
        rows.append(
            {"tested": tested, "trial": asked[best].number, **params}
            | {"train_sharpe": inside * year, "test_sharpe": float(mine) * year, "rank": rank}
        )
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _paths(
    ground: Ground, groups: Groups, asked: Sequence[Asked], best: list[int], year: float
) -> pl.DataFrame:
    """The histories put together of the tests: each takes, of every group, another split's test."""
    returns = {one: _run(ground, asked[one])[1] for one in sorted(set(best))}
    size = next(iter(returns.values())).size
    edges = groups.edges(size)
    testers = [
        [k for k, split in enumerate(groups.splits) if group in split]
        for group in range(groups.count)
    ]
    rows = []
    for path in range(groups.paths):
        parts = [
            returns[best[testers[group][path]]][edges[group] : edges[group + 1]]
            for group in range(groups.count)
        ]
        whole = until_ruin(np.concatenate(parts))
        grown = np.cumprod(1 + whole)
        peak = np.maximum(np.maximum.accumulate(grown), 1.0)
        deviation = float(whole.std(ddof=1))
        rows.append({
            "path": path + 1,
            "sharpe": float(whole.mean()) / deviation * year if deviation > 0 else 0.0,
            "total_return": float(grown[-1]) - 1,
            "max_dd": min(float((grown / peak - 1).min()), 0.0),
        })  # fmt: skip
    return pl.DataFrame(rows)
