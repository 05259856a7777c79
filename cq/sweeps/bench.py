"""Where trials are run: each as its own run would go, those of one market in machine code."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from cq.backtest.engine import simulate
from cq.errors import CqError
from cq.sweeps.compiled import CROSSING, FOLLOWING, is_worth_it
from cq.sweeps.crossing import Crossings, crossings_of
from cq.sweeps.figures import Asked, Failed, Trial, in_blocks, of_run
from cq.sweeps.ground import Ground
from cq.sweeps.quick import follow, is_quick

Outcome = Trial | Failed
AT_ONCE: Final = 32
"""Trials that machine code is handed in one call."""


class Bench:
    """Runs trials over one ground, with as many threads as are given."""

    def __init__(self, ground: Ground, workers: int | None = None) -> None:
        self.ground = ground
        self.workers = workers or os.cpu_count() or 1
        self.machine = False

    def run(
        self, asked: Sequence[Asked], each: Callable[[Outcome], None] = lambda _: None
    ) -> list[Outcome]:
        """The outcome of each trial, in their order; `each` is told as soon as one is known."""
        found: dict[int, Outcome] = {}
        crossing, others = self._sorted(asked)
        self.machine = self._is_worth_it(others, FOLLOWING)
        with ThreadPoolExecutor(self.workers) as pool:
            for one in self._crossings(pool, crossing):
                found[one.number] = one
                each(one)
            for outcome in self._others(pool, others):
                found[outcome.number] = outcome
                each(outcome)
        return [found[one.number] for one in asked]

    def _sorted(self, asked: Sequence[Asked]) -> tuple[Crossings | None, list[Asked]]:
        """Those that are crossings of simple means, and all others."""
        ground = self.ground
        if len(ground.symbols) > 1 or not self._is_worth_it(asked, CROSSING):
            return None, list(asked)
        return crossings_of(ground, asked)

    def _is_worth_it(self, asked: Sequence[Asked], names: Sequence[str]) -> bool:
        return is_worth_it(self.ground.bars.height * len(asked), names)

    def _crossings(self, pool: ThreadPoolExecutor, all_of: Crossings | None) -> Iterator[Trial]:
        if all_of is None:
            return
        for table in all_of.tables(pool):
            parts = [table[i : i + AT_ONCE] for i in range(0, len(table), AT_ONCE)]
            for made in pool.map(all_of.run, parts):
                yield from made

    def _others(self, pool: ThreadPoolExecutor, asked: Sequence[Asked]) -> Iterator[Outcome]:
        """Targets are made one trial after the other, and traded meanwhile by the threads."""
        waiting: deque[Future[Outcome]] = deque()
        for one in asked:
            waiting.append(pool.submit(self._traded, one, *self._prepared(one)))
            if len(waiting) > self.workers:
                yield waiting.popleft().result()
        for later in waiting:
            yield later.result()

    def _prepared(self, one: Asked) -> tuple[Any, CqError | None]:
        try:
            settings = one.strategy.backtest(self.ground.settings)
            return self.ground.markets(one.strategy, settings), None
        except CqError as error:
            return None, error

    def _traded(self, one: Asked, prepared: Any, error: CqError | None) -> Outcome:
        if error is not None:
            return Failed(one.number, one.params, error)
        _, markets, rules, first = prepared
        clock = self.ground.clock
        try:
            if self.machine and is_quick(markets, rules):
                found, kept = follow(markets[0], rules, first, clock)
            else:
                found, kept = of_run(simulate(markets, rules, first), markets, rules, clock)
        except CqError as failed:
            return Failed(one.number, one.params, failed)
        return Trial(one.number, one.params, found, rules.cash, *in_blocks(kept, rules.cash))
