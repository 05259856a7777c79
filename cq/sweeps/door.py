"""`cq.sweep(…)`: one strategy with many parameters, over bars that are read once."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl

from cq.backtest import single
from cq.backtest.bars import Period
from cq.backtest.door import settings_of, texts_of, told
from cq.backtest.given import Given
from cq.errors import CqError, UsageError
from cq.lake import Lake
from cq.lake.lake import Moment
from cq.lake.raw import FIGURES
from cq.strategies import Strategy
from cq.sweeps.alone import run_of
from cq.sweeps.asked import BARS, asked_of
from cq.sweeps.figures import Failed, Invalid, Trial
from cq.sweeps.ground import Ground, history
from cq.sweeps.identity import Identities, frame_of_identities
from cq.sweeps.luck import deflated, overfitting, ratios
from cq.sweeps.result import Best, SweepResult, best_first, frame_of
from cq.sweeps.runner import Ask, Outcome, Recipe, Runner
from cq.sweeps.space import Axis, Point, axes_of, corners, drawn, refuse_twice
from cq.sweeps.space import grid as grid_of
from cq.sweeps.unfinished import Unfinished
from cq.utils.time import iso
from cq.utils.trading_settings import Backtest

BATCH: Final = 1_024
"""Points that are worked on at a time."""
TOP: Final = 10
SEEDS: Final = 2**32
"""How many seeds a sampler knows."""


def _silent(_: Any) -> None:
    return None


@dataclass
class Collected:
    """What is kept of outcomes as they come."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    params: list[Point] = field(default_factory=list)
    """Of each row, what was tried: apart from it, since a parameter may be called like a metric."""
    sums: list[Any] = field(default_factory=list)
    squares: list[Any] = field(default_factory=list)
    skipped: int = 0
    failed: int = 0
    why_skipped: Exception | None = None
    why_failed: Exception | None = None

    def add(self, outcome: Outcome) -> None:
        """Keep one outcome: of a trial a row of numbers."""
        match outcome:
            case Invalid():
                self.skipped += 1
                self.why_skipped = self.why_skipped or outcome.error
            case Failed():
                self.failed += 1
                self.why_failed = self.why_failed or outcome.error
            case Trial():
                row = {"trial": outcome.number, **outcome.figures, "cash": outcome.cash}
                self.rows.append(row)
                self.params.append(outcome.params)
                self.sums.append(outcome.sums)
                self.squares.append(outcome.squares)

    def check(self) -> None:
        """Raise the first error where no trial came to anything."""
        if not self.rows and (error := self.why_failed or self.why_skipped):
            raise error
        if not self.rows:
            raise UsageError("no combination to try")


def sweep(
    source: Lake | pl.LazyFrame | pl.DataFrame,
    strategy: Strategy | str | Path,
    grid: Mapping[str, Any] | Sequence[str],
    *,
    random: int | None = None,
    optuna: int | None = None,
    seed: int = 0,
    sort: str = "sharpe",
    top: int = TOP,
    start: Moment = None,
    end: Moment = None,
    quote: str = "BRL",
    overrides: Sequence[str] = (),
    engine: str | None = None,
    workers: int | None = None,
    say: Callable[[str], None] = _silent,
    progress: Callable[[int], None] = _silent,
    **settings: Any,
) -> SweepResult:
    """Run `strategy` (or the one in a file) with every combination of `grid`, over the same bars.

    `grid` names parameters, sizing's, orders' and costs' by dotted names, with their values:
    `{"fast": range(5, 51, 5), "sizing.fraction": "0.2:1:0.2"}`. `random` draws so many
    combinations by `seed`, `optuna` lets a sampler propose so many (the extra `optuna`). Each
    trial's figures are those of its own backtest, to the bit. Other keywords are settings of
    `backtest:`, as in `cq.backtest`.
    """
    known, axes = settings_of(settings), axes_of(grid)
    said = [f"backtest.{one}" for one in texts_of(settings)]
    refuse_twice(axes, said)
    if isinstance(strategy, Strategy):
        strategy = told(strategy, settings)
    else:
        overrides = [*said, *overrides]
    setting = Setting(
        source, recipe_of(strategy, overrides), known,
        Period.of(start, end),
        quote, say,
    )  # fmt: skip
    how = How(random, optuna, seed, sort, top, engine, workers)
    return swept(setting, axes, how, progress)


@dataclass(frozen=True)
class How:
    """Which combinations are tried, by whom, and what makes one the best."""

    random: int | None = None
    optuna: int | None = None
    seed: int = 0
    sort: str = "sharpe"
    top: int = TOP
    engine: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.sort not in FIGURES:
            raise UsageError(f"no metric {self.sort!r} to sort by; there is {', '.join(FIGURES)}")
        if self.random is not None and self.optuna is not None:
            raise UsageError("--random and --optuna are two ways to choose; take one")
        if self.optuna is not None and self.engine is not None:
            raise UsageError("--optuna waits for each trial before the next; leave --engine out")
        if self.optuna is not None and not 0 <= self.seed < SEEDS:
            raise UsageError(
                f"--seed {self.seed}; --optuna expects a whole number from 0 to {SEEDS - 1:,}"
            )
        for name in ("random", "optuna", "top", "workers"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"--{name} {count}; expected at least 1")


def swept(
    setting: Setting,
    axes: tuple[Axis, ...],
    how: How,
    progress: Callable[[int], None] = _silent,
    kept: Unfinished | None = None,
) -> SweepResult:
    """Run every combination that is asked for; what `kept` has of them already is not run again."""
    refuse_twice(axes, setting.recipe.overrides)
    runner = Runner(setting.recipe, setting.ground, how.workers)
    runner.begin()
    kept = kept or Unfinished()
    kept.begin(lambda: asked_of(setting, axes, _points(axes, how), how, runner))
    runner.keep_time(axes, _bars(axes, how))
    before = sorted(kept.before, key=lambda one: one.number)
    outcomes = _outcomes(axes, runner, how, frozenset(kept.numbers), kept.keep)
    found = Collected()
    try:
        for outcome in merge(before, outcomes, key=lambda one: one.number):
            kept.keep(outcome)
            found.add(outcome)
            progress(1)
    finally:
        kept.flush()
    try:
        found.check()
    except CqError:
        kept.finish()  # the same again would only repeat the error
        raise
    return _result(setting, runner, axes, found, how)


def _points(axes: Sequence[Axis], how: How) -> Iterator[Point]:
    drawing = how.random is not None
    return (drawn(axes, how.random or 0, how.seed) if drawing else grid_of(axes))[1]


def _bars(axes: Sequence[Axis], how: How) -> Iterator[Point]:
    """Points that are run over all bars that any is; nobody knows what a sampler will propose."""
    return _points(axes, how) if how.optuna is None else corners(axes, BARS)


def count_of(axes: Sequence[Axis], how: How) -> int:
    """How many combinations there are to try, at the most."""
    if how.optuna is not None:
        return how.optuna
    return drawn(axes, how.random, how.seed)[0] if how.random is not None else grid_of(axes)[0]


def _outcomes(
    axes: Sequence[Axis],
    runner: Runner,
    how: How,
    done: Container[int] = (),
    each: Callable[[Outcome], None] = _silent,
) -> Iterable[Outcome]:
    """What becomes of each combination but those `done`; `each` is told as soon as it is known."""
    if how.optuna is not None:
        from cq.sweeps.seeking import sought

        return sought(axes, runner, how.optuna, how.seed, how.sort)
    asked = batches(_points(axes, how), done=done)
    if how.engine is not None:
        from cq.sweeps.engines import outcomes_on

        return outcomes_on(how.engine, runner, asked)
    return (one for batch in asked for one in runner.run(batch, each))


def batches(
    points: Iterable[Point], size: int = BATCH, done: Container[int] = ()
) -> Iterator[list[Ask]]:
    """Numbered points, some at a time, without those that are `done`."""
    numbered = (one for one in enumerate(points, 1) if one[0] not in done)
    while part := list(islice(numbered, size)):
        yield part


def recipe_of(strategy: Strategy | str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Where the strategies of trials come from."""
    if isinstance(strategy, Strategy):
        return Recipe(strategy=strategy, option="grid")
    return Recipe(Path(strategy), tuple(overrides))


@dataclass
class Setting:
    """What all trials have in common."""

    source: Lake | pl.LazyFrame | pl.DataFrame
    recipe: Recipe
    settings: Backtest
    period: Period
    quote: str
    say: Callable[[str], None]
    exclusions: tuple[str, ...] = ()
    """Symbols that may not be traded."""
    longest: int = 0
    said: set[str] = field(default_factory=set)

    @property
    def lake(self) -> Lake | None:
        """The lake, where the bars come from one."""
        return self.source if isinstance(self.source, Lake) else None

    def tell(self, note: str) -> None:
        """Say something that concerns all trials, once."""
        if note not in self.said:
            self.said.add(note)
            self.say(note)

    def ground(self, strategy: Strategy) -> Ground:
        """The bars of a strategy, from the lake or from the frame.

        Where a trial looks back further than those before it, the next ones soon will, too.
        """
        if self.lake is not None:
            if self.period.start is not None:
                bars = history(strategy, strategy.backtest(self.settings))
                self.longest = max(bars, 2 * self.longest if bars > self.longest else 0)
            return Ground.of_lake(
                self.lake, strategy, self.settings, self.period, self.quote, self.longest,
                self.tell, self.exclusions,
            )  # fmt: skip
        assert not isinstance(self.source, Lake)
        given = Given(self.source, strategy, self.settings, self.period, self.tell, self.quote)
        for one in given.left_out:
            self.tell(f"warning: {one}")
        interval = strategy.config.interval
        return Ground(given.symbols, interval, given.ordered.rows, self.period, self.settings)


def _result(
    setting: Setting, runner: Runner, axes: tuple[Axis, ...], found: Collected, how: How
) -> SweepResult:
    trials = frame_of(found.rows, found.params, [one.name for one in axes])
    rows = {row["trial"]: row for row in found.rows}
    tried = {row["trial"]: one for row, one in zip(found.rows, found.params, strict=True)}
    numbers = best_first(trials, how.sort)["trial"].to_list()[: how.top]
    strategy = runner.made(tried[numbers[0]])
    ground = runner.ground(strategy)
    config = configuration(setting, ground, strategy, axes)
    runs = None if setting.lake is None else setting.lake.runs
    identities = _identities(runner, setting.settings, found.params)
    tries = ratios(runs, identities, trials["sharpe"])
    best = []
    for number in numbers:
        run = run_of(runner, tried[number])
        ts, cash, interval = run.made.ts, run.rules.cash, run.strategy.config.interval
        figures = {name: rows[number][name] for name in FIGURES}
        luck = deflated(ts, run.made.equity, cash, interval, tries)
        said = run.doubts() if number == numbers[0] else ()
        best.append(Best(number, tried[number], figures, luck, said))
    return SweepResult(
        name=strategy.name,
        symbols=ground.symbols,
        interval=strategy.config.interval,
        axes=axes,
        trials=trials,
        best=tuple(best),
        sort=how.sort,
        overfitting=overfitting(found.sums, found.squares, ground.clock.each),
        skipped=(found.skipped, _said(found.why_skipped)),
        failed=(found.failed, _said(found.why_failed)),
        config=config,
        identities=identities,
    )


def _identities(runner: Runner, settings: Backtest, params: Sequence[Point]) -> pl.DataFrame:
    """Who each trial is, and which bars it was run over."""
    made, found = Identities(settings), []
    for one in params:
        strategy = runner.made(one)
        bars = history(strategy, strategy.backtest(settings))
        extent = runner.extent(strategy, bars)
        found.append(made.of(strategy, extent.symbols) | extent.seen(bars))
    return frame_of_identities(found)


def _said(error: Exception | None) -> str | None:
    return None if error is None else str(error)


def configuration(
    setting: Setting, ground: Ground, strategy: Strategy, axes: Sequence[Axis]
) -> dict[str, Any]:
    """What a run of `strategy` says of itself, with the grid and the bars that were read."""
    ts = ground.bars["ts"]
    low, high = int(ts.min()), int(ts.max())  # type: ignore[arg-type]
    settings = strategy.backtest(setting.settings)
    of_a_run = single.configuration(
        strategy, settings, ground.symbols, setting.quote, setting.period
    )
    return of_a_run | {
        "grid": {one.name: list(one.span or one.values) for one in axes},
        "data": {
            "rows": ground.bars.height, "first": iso(low), "last": iso(high),
            "first_ts": low, "last_ts": high,
        },
    }  # fmt: skip
