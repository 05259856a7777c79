"""Walk-forward: parameters chosen on the past of each stretch of time, and tried on the stretch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from cq.backtest.engine import Simulation, simulate
from cq.backtest.intents import Ints
from cq.backtest.metrics import Metrics, metrics
from cq.backtest.tape import Tape
from cq.errors import CqError, DataError, UsageError
from cq.sweeps.alone import Run
from cq.sweeps.bench import Bench
from cq.sweeps.closing import closed
from cq.sweeps.door import Collected, How, Setting, batches, configuration
from cq.sweeps.figures import Asked
from cq.sweeps.folds import Fold, length_of, purged, walk, with_bars
from cq.sweeps.ground import Ground, history
from cq.sweeps.identity import Identities, frame_of_identities
from cq.sweeps.luck import Deflated, deflated
from cq.sweeps.result import best_first, column_of, frame_of
from cq.sweeps.runner import Runner
from cq.sweeps.space import Axis, drawn, grid, refuse_twice
from cq.utils.time import interval_ns


@dataclass(frozen=True)
class Spans:
    """How long parameters are chosen on and tried, and what is left out between."""

    train: str | int
    test: str | int
    anchored: bool = False
    purge: str | int = "auto"


@dataclass(frozen=True)
class WalkForward:
    """What was chosen on each fold, and what became of it afterwards.

    `folds`: a row each, with what was chosen and its metric before and after. `equity`: the tests
    one after the other, each begun with what the one before left. `metrics` are those of that
    curve; `luck` is how sure its Sharpe ratio is. `trials`: every trial of every fold. `empty`
    counts folds that were passed over, since no bar opens in one of their two stretches of time.
    `failed` counts trials that could not be run, and says why the first could not; `warnings` are
    what a backtest of the first test would warn of.
    """

    name: str
    symbols: tuple[str, ...]
    interval: str
    axes: tuple[Axis, ...]
    sort: str
    folds: pl.DataFrame
    equity: pl.DataFrame
    trades: pl.DataFrame
    metrics: Metrics
    luck: Deflated
    trials: pl.DataFrame
    identities: pl.DataFrame = field(repr=False)
    skipped: tuple[int, str | None]
    failed: tuple[int, str | None]
    empty: int
    warnings: tuple[str, ...]
    config: dict[str, Any] = field(repr=False)

    @property
    def degradation(self) -> float | None:
        """Mean of the metric after over the mean before, of the folds that have it on both sides;
        None where the mean before is not above zero."""
        sides = [f"{part}_{self.sort}" for part in ("train", "test")]
        before, after = (one.mean() for one in self.folds.select(sides).drop_nulls())
        if not isinstance(before, float) or not isinstance(after, float) or before <= 0:
            return None
        return after / before

    def as_json(self) -> dict[str, Any]:
        """All of it but the trials and the curve."""
        return {
            "strategy": self.name, "symbols": list(self.symbols), "interval": self.interval,
            "sort": self.sort, "folds": self.folds.to_dicts(), "metrics": self.metrics,
            "psr": self.luck.probabilistic, "degradation": self.degradation,
            "trials": self.trials.height, "skipped": self.skipped[0], "failed": self.failed[0],
            "empty": self.empty, "warnings": list(self.warnings),
            "config": self.config,
        }  # fmt: skip


@dataclass
class Walking:
    """One walk: what is tried, over which bars, and the account that goes on from test to test."""

    ground: Ground
    asked: list[Asked]
    axes: tuple[Axis, ...]
    sort: str
    workers: int | None
    cash: float | None = None
    tests: list[Simulation] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    trials: list[pl.DataFrame] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """Of each trial, fold by fold: the place of its combination among those asked."""
    failed: int = 0
    why_failed: Exception | None = None
    warnings: tuple[str, ...] = ()

    def step(self, fold: Fold) -> None:
        """Choose on the fold's past, and try the choice on the stretch that follows."""
        number, found = len(self.rows) + 1, Collected()
        past = self.ground.within(fold.train_start, fold.train_end)
        for outcome in Bench(past, self.workers).run(self.asked):
            found.add(outcome)
        self.failed += found.failed
        self.why_failed = self.why_failed or found.why_failed
        if not found.rows and isinstance(found.why_failed, UsageError):
            raise found.why_failed
        if not found.rows:
            raise DataError(f"fold {number}: {found.why_failed}; take a longer --train")
        names = [one.name for one in self.axes]
        trials = frame_of(found.rows, found.params, names)
        chosen = best_first(trials, self.sort).row(0, named=True)
        choice = _asked(self.asked, chosen["trial"])
        tried = self._tried(fold, choice)
        self.rows.append({
            "fold": number,
            **{name: getattr(fold, name) for name in ("train_start", "train_end")},
            **{name: getattr(fold, name) for name in ("test_start", "test_end")},
            **{column_of(name): choice.params[name] for name in names},
            f"train_{self.sort}": chosen[self.sort], f"test_{self.sort}": tried[self.sort],
            "test_return": tried["total_return"], "test_trades": tried["trades"],
        })  # fmt: skip
        bars = past.seen(self.asked[0].strategy, self.ground.settings)["ts"]
        self.numbers += trials["trial"].to_list()
        self.trials.append(trials.with_columns(
            trial=pl.col("trial") + (number - 1) * (self.asked[-1].number),
            first_ts=pl.lit(fold.train_start), last_ts=pl.lit(int(bars[-1])),
            rows=pl.lit(bars.len()), fold=pl.lit(number),
        ))  # fmt: skip

    def _tried(self, fold: Fold, one: Asked) -> Metrics:
        """The choice over the fold's test, with what the test before left."""
        settings = one.strategy.backtest(self.ground.settings)
        if self.cash is not None:
            settings = settings.model_copy(update={"cash": self.cash})
        ahead = self.ground.within(fold.test_start, fold.test_end)
        parts, markets, rules, first = ahead.markets(one.strategy, settings)
        made = simulate(markets, rules, first)
        if not self.tests:
            self.warnings = Run(one.strategy, ahead, parts, markets, rules, made).doubts()
        made = closed(made, markets, rules)
        self.cash = float(made.equity[-1])
        self.tests.append(made)
        return metrics(
            made.ts, made.equity, made.exposure, made.fills,
            cash=rules.cash, interval=rules.interval, held=rules.cash,
        )  # fmt: skip

    def curve(self) -> pl.DataFrame:
        """Equity and exposure at the close of every bar of the tests."""
        return pl.concat(
            pl.DataFrame(
                {"ts": made.ts, "equity": made.equity, "exposure": made.exposure}
            ).with_columns(fold=pl.lit(number))
            for number, made in enumerate(self.tests, 1)
        )


def walk_forward(
    setting: Setting,
    axes: tuple[Axis, ...],
    how: How,
    spans: Spans,
    progress: Callable[[int], None] = lambda _: None,
) -> WalkForward:
    """Choose by `how.sort` among the combinations of `axes`, fold by fold, and try each choice."""
    runner = Runner(setting.recipe, setting.ground, how.workers)
    asked, skipped = every(axes, runner, how)
    ground, first, end = whole_ground(setting, asked)
    interval = asked[0].strategy.config.interval
    purge = purge_of(spans.purge, asked, ground)
    folds, empty = _folds(ground, (first, end), interval, spans, purge)
    walking = Walking(ground, asked, axes, how.sort, how.workers)
    cash = asked[0].strategy.backtest(setting.settings).cash
    for fold in folds:
        walking.step(fold)
        progress(1)
    curve = walking.curve()
    ts, equity = curve["ts"].to_numpy(), curve["equity"].to_numpy()
    fills = Tape.joined([made.fills for made in walking.tests])
    found = metrics(
        ts, equity, curve["exposure"].to_numpy(), fills,
        cash=cash, interval=interval, held=_held(ground, folds, cash),
    )  # fmt: skip
    strategy = asked[0].strategy
    return WalkForward(
        name=strategy.name,
        symbols=ground.symbols,
        interval=interval,
        axes=axes,
        sort=how.sort,
        folds=pl.DataFrame(walking.rows, infer_schema_length=None, strict=False),
        equity=curve,
        trades=fills.frame(),
        metrics=found,
        luck=deflated(ts, equity, cash, interval, np.zeros(0)),
        trials=pl.concat(walking.trials, how="vertical_relaxed"),
        identities=_identities(walking, setting),
        skipped=skipped,
        failed=(walking.failed, None if walking.why_failed is None else str(walking.why_failed)),
        empty=empty,
        warnings=walking.warnings,
        config=configuration(setting, ground, strategy, axes)
        | {
            "walk": {
                "train": spans.train, "test": spans.test, "anchored": spans.anchored,
                "purge_bars": purge,
            }
        },
    )  # fmt: skip


def _folds(
    ground: Ground, extent: tuple[int, int], interval: str, spans: Spans, purge: int
) -> tuple[list[Fold], int]:
    """The folds that have bars to choose on and to test, and how many have none of either."""
    train, test = (
        length_of(said, interval, option)
        for said, option in ((spans.train, "--train"), (spans.test, "--test"))
    )
    length = purge * interval_ns(interval)
    every_fold = walk(*extent, train, test, length, anchored=spans.anchored)
    moments = ground.bars["ts"].unique().sort().to_numpy()
    folds = with_bars(purged(every_fold, moments_of(ground), purge), moments)
    if not folds:
        raise DataError(
            f"{', '.join(ground.symbols)}: no fold has bars to choose on and to test; take a "
            "longer --train"
        )
    return folds, len(every_fold) - len(folds)


def _identities(walking: Walking, setting: Setting) -> pl.DataFrame:
    """Who each trial of each fold is."""
    made, symbols = Identities(setting.settings), walking.ground.symbols
    known = {one.number: made.of(one.strategy, symbols) for one in walking.asked}
    return frame_of_identities(known[number] for number in walking.numbers)


def every(
    axes: tuple[Axis, ...], runner: Runner, how: How
) -> tuple[list[Asked], tuple[int, str | None]]:
    """Each combination that makes sense, with its strategy; how many do not, and why the first."""
    if how.optuna is not None or how.engine is not None:
        raise UsageError("walk-forward takes a grid or draws (--random)")
    refuse_twice(axes, runner.recipe.overrides)
    drawing = how.random is not None
    _, points = drawn(axes, how.random or 0, how.seed) if drawing else grid(axes)
    found: list[Asked] = []
    skipped, why = 0, None
    for batch in batches(points):
        for number, params in batch:
            try:
                found.append(Asked(number, params, runner.made(params)))
            except CqError as error:
                skipped, why = skipped + 1, why or error
    if not found:
        raise why or UsageError("no combination to try")
    kinds = {(one.strategy.config.symbols, one.strategy.config.interval) for one in found}
    if len(kinds) > 1:
        raise UsageError("symbols and intervals stay the same over a walk; sweep them")
    if len({one.strategy.config.backtest.get("cash") for one in found}) > 1:
        raise UsageError(
            "backtest.cash is not chosen: each test goes on with what the one before left; sweep it"
        )
    return found, (skipped, None if why is None else str(why))


def whole_ground(setting: Setting, asked: list[Asked]) -> tuple[Ground, int, int]:
    """All bars, with the longest warm-up's; when the first of the period opens, and its end."""
    furthest = max(asked, key=lambda one: history(one.strategy, _settings(one, setting)))
    ground = setting.ground(furthest.strategy)
    ts = ground.bars["ts"]
    start = setting.period.start
    inside = ts if start is None else ts.filter(ts >= start)
    if inside.is_empty():
        raise DataError(f"{', '.join(ground.symbols)}: no bars {setting.period}")
    low, high = inside.min(), inside.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return ground, low, high + interval_ns(furthest.strategy.config.interval)


def _settings(one: Asked, setting: Setting) -> Any:
    return one.strategy.backtest(setting.settings)


def purge_of(said: str | int, asked: list[Asked], ground: Ground) -> int:
    """How many bars are left out: those that the longest signal looks back on, if nobody says."""
    if said == "auto":
        runs = ((one.strategy, one.strategy.backtest(ground.settings)) for one in asked)
        return max(strategy.looks_back(settings.warmup) for strategy, settings in runs)
    try:
        bars = int(said)
    except ValueError:
        bars = -1
    if bars < 0:
        raise UsageError(f"--purge {said}: expected a number of bars, or auto")
    return bars


def moments_of(ground: Ground) -> list[Ints]:
    """When the bars of each symbol open, in order."""
    return [one["ts"].sort().to_numpy() for one in ground.bars.partition_by("symbol")]


def _asked(asked: list[Asked], number: int) -> Asked:
    return next(one for one in asked if one.number == number)


def _held(ground: Ground, folds: list[Fold], cash: float) -> float:
    """What the same cash would be worth, bought and held over all tests."""
    worth, share = 0.0, cash / len(ground.symbols)
    inside = ground.bars.filter(
        pl.col("ts").is_between(folds[0].test_start, folds[-1].test_end, closed="left")
    )
    for symbol in ground.symbols:
        rows = inside.filter(pl.col("symbol") == symbol)
        worth += share * (rows["close"][-1] / rows["open"][0] if rows.height else 1.0)
    return worth
