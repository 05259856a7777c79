"""The same sweep on an engine that spreads work over processes and machines: Ray or Dask.

Bars travel to each worker once, points in small parts; outcomes come back in the order of the
points. Workers do what this process would, so that results are the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol

from cq.errors import CqError, DataError, MissingExtra, UsageError
from cq.strategies import Strategy
from cq.sweeps.figures import Trial
from cq.sweeps.ground import Ground
from cq.sweeps.runner import Ask, Outcome, Recipe, Runner

PART: Final = 64
"""Points that a worker is handed at a time."""
PACKAGES: Final = {"ray": "ray", "dask": "distributed"}


class Engine(Protocol):
    """Where work is sent."""

    def send(self, ground: Ground) -> Any:
        """Bring bars to the workers; what stands for them there."""

    def start(self, recipe: Recipe, ground: Any, points: list[Ask]) -> Any:
        """Begin a part; what its outcomes can be asked of."""

    def finish(self, begun: Any) -> list[Outcome]:
        """The outcomes of a part, once they are there."""

    def close(self) -> None:
        """Let go of what was started for this sweep."""


def outcomes_on(engine: str, runner: Runner, batches: Iterable[list[Ask]]) -> Iterator[Outcome]:
    """The outcomes of points, in their order, worked out by the engine's workers."""
    if engine not in PACKAGES:
        raise UsageError(f"no engine {engine!r}; there is {', '.join(PACKAGES)}")
    if find_spec(PACKAGES[engine]) is None:
        raise MissingExtra(f"--engine {engine}", engine, PACKAGES[engine])
    workers = runner.workers or 2
    made: Engine = OnRay(workers) if engine == "ray" else OnDask(workers)
    try:
        yield from _in_order(made, runner, batches)
    finally:
        made.close()


def _in_order(engine: Engine, runner: Runner, batches: Iterable[list[Ask]]) -> Iterator[Outcome]:
    sent: tuple[Ground, Any] | None = None
    for batch in batches:
        begun: list[Any] = []
        for ground, points in _parts(runner, batch):
            if ground is not None and (sent is None or sent[0] is not ground):
                sent = ground, engine.send(ground)
            there = sent[1] if sent is not None else None
            begun.append(engine.start(runner.recipe, there, points))
        for one in begun:
            yield from engine.finish(one)


def _parts(runner: Runner, batch: list[Ask]) -> Iterator[tuple[Ground | None, list[Ask]]]:
    """Points that run over the same bars, a few at a time."""
    ground: Ground | None = None
    part: list[Ask] = []
    for number, params in batch:
        needed = ground
        with suppress(CqError):  # the worker says what is wrong, in its turn
            needed = runner.ground(runner.made(params))
        if part and (len(part) == PART or (ground is not None and needed is not ground)):
            yield ground, part
            part = []
        ground = needed
        part.append((number, params))
    if part:
        yield ground, part


def worked(recipe: Recipe, ground: Ground | None, points: list[Ask]) -> list[Outcome]:
    """What a worker does with a part."""

    def here(strategy: Strategy) -> Ground:
        if ground is None:
            raise DataError(f"{strategy.name}: no bars")
        return ground

    return [_plain(one) for one in Runner(recipe, here, workers=1).run(points)]


def _plain(outcome: Outcome) -> Outcome:
    """The outcome with an error that any process can read."""
    if isinstance(outcome, Trial):
        return outcome
    kind = DataError if getattr(outcome.error, "exit_code", 2) == 3 else UsageError
    return replace(outcome, error=kind(str(outcome.error)))


class OnRay:
    """Workers of the Ray that is running, or of one of our own for as long as the sweep lasts."""

    def __init__(self, workers: int) -> None:
        self.ray: Any = import_module("ray")
        self.ours = not self.ray.is_initialized()
        if self.ours:
            self.ray.init(
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
            )
        self.task = self.ray.remote(worked)

    def send(self, ground: Ground) -> Any:
        """See `Engine`."""
        return self.ray.put(ground)

    def start(self, recipe: Recipe, ground: Any, points: list[Ask]) -> Any:
        """See `Engine`."""
        return self.task.remote(recipe, ground, points)

    def finish(self, begun: Any) -> list[Outcome]:
        """See `Engine`."""
        found: list[Outcome] = self.ray.get(begun)
        return found

    def close(self) -> None:
        """See `Engine`."""
        if self.ours:
            self.ray.shutdown()


class OnDask:
    """Workers of the Dask client that is there, or of a cluster of our own meanwhile."""

    def __init__(self, workers: int) -> None:
        distributed: Any = import_module("distributed")
        try:
            self.client, self.ours = distributed.get_client(), False
        except ValueError:
            self.client = distributed.Client(
                n_workers=workers, threads_per_worker=1, dashboard_address=None,
                silence_logs=logging.ERROR,
            )  # fmt: skip
            self.ours = True

    def send(self, ground: Ground) -> Any:
        """See `Engine`."""
        return self.client.scatter(ground, broadcast=True)

    def start(self, recipe: Recipe, ground: Any, points: list[Ask]) -> Any:
        """See `Engine`."""
        return self.client.submit(worked, recipe, ground, points, pure=False)

    def finish(self, begun: Any) -> list[Outcome]:
        """See `Engine`."""
        found: list[Outcome] = begun.result()
        return found

    def close(self) -> None:
        """See `Engine`."""
        if self.ours:
            self.client.close()
            self.client.cluster.close()
