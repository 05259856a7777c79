"""From points of a grid to outcomes: what one worker does, in this process or in another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from cq.errors import CqError, Unreadable, UsageError
from cq.strategies import Strategy, variants, variants_of
from cq.sweeps.asked import BARS, bars_key
from cq.sweeps.bench import Bench
from cq.sweeps.figures import Asked, Clock, Failed, Invalid, Trial
from cq.sweeps.ground import Extent, Ground
from cq.sweeps.space import Axis, Point
from cq.utils.garbage import nothing_collected
from cq.utils.memory import keep_freed_memory

TRAINING: Final = frozenset(
    f"gate.{name}"
    for name in ("model", "train_bars", "every_bars", "embargo_bars", "least_rows", "seed")
)
"""Parameters that only a training looks at."""
Outcome = Trial | Failed | Invalid
Ask = tuple[int, Point]


@dataclass(frozen=True)
class Recipe:
    """Where strategies come from: a file with what was said above it, or one that is there."""

    path: Path | None = None
    overrides: tuple[str, ...] = ()
    strategy: Strategy | None = field(default=None, repr=False)
    option: str = "--grid"

    def maker(self) -> Callable[[Mapping[str, Any]], Strategy]:
        """What makes a strategy of parameters."""
        if self.strategy is not None:
            return variants_of(self.strategy, self.option)
        assert self.path is not None
        return variants(self.path, self.overrides, self.option)


@dataclass
class Runner:
    """Runs points over grounds; what each needs is read when the first one comes.

    `ground_of` makes the ground of a strategy that the last ground does not serve.
    """

    recipe: Recipe
    ground_of: Callable[[Strategy], Ground]
    workers: int | None = None

    def __post_init__(self) -> None:
        self._make: Callable[[Mapping[str, Any]], Strategy] | None = None
        self._grounds: dict[Any, Ground] = {}
        self._extents: dict[Any, Extent] = {}
        self._closes = np.zeros(0, dtype=np.int64)
        self._clock: Clock | None = None

    def begin(self) -> None:
        """Read the strategy's file; StrategyError or NoSuchFile where no trial can come of it."""
        keep_freed_memory()
        self._make = self.recipe.maker()

    def made(self, params: Point) -> Strategy:
        """The strategy with these parameters; StrategyError where they make no sense."""
        if self._make is None:
            self.begin()
        assert self._make is not None
        strategy = self._make(params)
        gate = strategy.config.gate
        if gate is not None and gate.get("trained") and (idle := TRAINING.intersection(params)):
            raise UsageError(
                f"{min(idle)} is tried, but gate.trained names a gate that is trained already; "
                "take one of them"
            )
        return strategy

    def ground(self, strategy: Strategy) -> Ground:
        """The bars of a strategy."""
        key = bars_key(strategy)
        if key not in self._grounds or not self._grounds[key].serves(strategy):
            ground = self.ground_of(strategy)
            if key not in self._extents:
                self._closes = np.union1d(self._closes, ground.closes())
            ground.common = self._clock
            self._grounds = {key: ground}
            self._extents[key] = Extent.of(ground)
        return self._grounds[key]

    def keep_time(self, axes: Sequence[Axis], points: Iterable[Point]) -> None:
        """Where the points are run over different bars, let equity be kept at the same moments.

        Bars that were not looked at yet are read for it; those that cannot be read are passed over,
        as their trials will say.
        """
        names = [one.name for one in axes if one.name in BARS]
        known: set[str] = set()
        for params in points if names else ():
            said = repr([params[name] for name in names])
            if said in known:
                continue
            with suppress(CqError):
                strategy = self.made(params)
                known.add(said)
                if bars_key(strategy) not in self._extents:
                    self.ground(strategy)
        if names and self._closes.size:
            self._clock = Clock.of(self._closes)
            for ground in self._grounds.values():
                ground.common = self._clock

    def extent(self, strategy: Strategy, history: int) -> Extent:
        """Which bars there are for a strategy that looks back on so many.

        They are read again where its trial was run before this runner began.
        """
        known = self._extents.get(bars_key(strategy))
        if known is None or not known.serves(history):
            self.ground(strategy)
        return self._extents[bars_key(strategy)]

    def run(
        self, points: Sequence[Ask], each: Callable[[Outcome], None] = lambda _: None
    ) -> list[Outcome]:
        """The outcome of each point, in their order; `each` is told as soon as one is known."""
        found: dict[int, Outcome] = {}
        with nothing_collected():  # thousands of strategies are made, and all of them stay
            waiting = self._sorted(points, found)
        for ground, asked in waiting:
            for one in Bench(ground, self.workers).run(asked, each):
                found[one.number] = one
        return [found[number] for number, _ in points]

    def _sorted(
        self, points: Sequence[Ask], found: dict[int, Outcome]
    ) -> list[tuple[Ground, list[Asked]]]:
        """What is to be run over which ground; of points that cannot be run the outcome is told."""
        waiting: list[tuple[Ground, list[Asked]]] = []
        for number, params in points:
            try:
                strategy = self.made(params)
            except CqError as error:
                found[number] = Invalid(number, params, error)
                continue
            try:
                ground = self.ground(strategy)
            except Unreadable:  # it is to be mended first; each of many trials would read it again
                raise
            except CqError as error:
                found[number] = Failed(number, params, error)
                continue
            if not waiting or waiting[-1][0] is not ground:
                waiting.append((ground, []))
            waiting[-1][1].append(Asked(number, params, strategy))
        return waiting
