"""Crossings of simple means: each mean once, then every pair of them in machine code.

The signals are those of `cq.strategies.crossover` to the bit: means are kept with 24 bits, and what
these cannot tell apart is compared in whole numbers, as there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from cq.backtest.announcing import announce
from cq.backtest.engine import buy_and_hold
from cq.backtest.grid import fixed
from cq.backtest.intents import Ints
from cq.backtest.market import Market, Rules
from cq.backtest.single import rules_of
from cq.errors import CqError
from cq.indicators.columns import fixed_point
from cq.strategies.crossover import CrossoverConfig
from cq.strategies.sizing import FixedFraction
from cq.sweeps.compiled import CROSSING, compiled, kept
from cq.sweeps.figures import Asked, Clock, Trial, in_blocks, of_sums
from cq.sweeps.ground import Ground
from cq.sweeps.kernel import SUMS
from cq.sweeps.quick import space, terms_of

TABLE: Final = 200_000_000
"""Bytes of means that are held at once, at the most, where one pair does not need more."""
PRICED: Final = 9e10
"""Prices from which on there is no whole number of 10⁻⁸ for them."""
LARGEST: Final = 2**62
"""What a window's sum of whole prices (times 10⁸) has to stay below."""


@dataclass
class Crossings:
    """Trials that are crossings of simple means over one market, and what they share."""

    market: Market
    first: int
    clock: Clock
    sums: Ints
    asked: list[tuple[Asked, Rules]]
    places: dict[int, int] = field(default_factory=dict)
    table: Any = None

    def __post_init__(self) -> None:
        self.ts = self.market.ts[self.first :]
        self.interval = self.asked[0][1].interval
        self.ends = self.first + self.clock.counts(self.ts, self.interval)
        held = buy_and_hold([self.market], int(self.ts[0]), self.ts[-1:], 1.0)
        self.growth = float(held[0])

    def tables(self, pool: Executor) -> Iterator[list[tuple[Asked, Rules]]]:
        """The trials in parts whose means are held at once; those stand in `table` meanwhile."""
        rows = max(2, TABLE // (4 * self.market.ts.size))
        part: list[tuple[Asked, Rules]] = []
        windows: dict[int, None] = {}
        for one in self.asked:
            mine = dict.fromkeys(windows_of(one[0]))
            if len(windows | mine) > rows:
                yield self._filled(part, list(windows), pool)
                part, windows = [], {}
            part.append(one)
            windows |= mine
        yield self._filled(part, list(windows), pool)

    def _filled(
        self, part: list[Any], windows: list[int], pool: Executor
    ) -> list[tuple[Asked, Rules]]:
        size = self.market.ts.size
        if self.table is None or self.table.shape[0] < len(windows):
            self.table = np.empty((len(windows), size), dtype=np.float32)
        code = compiled()
        assert code is not None
        announce("trials of crossing means", "a quarter of a minute", lambda: kept(CROSSING))
        old, self.places = self.places, {}
        free = list(range(self.table.shape[0]))
        for window in windows:  # what is there already stays
            if window in old and old[window] in free:
                self.places[window] = old[window]
                free.remove(old[window])
        lacking = [window for window in windows if window not in self.places]
        self.places |= {window: free.pop() for window in lacking}
        made = pool.map(
            lambda window: code.means(self.sums, window, self.table[self.places[window]]), lacking
        )
        deque(made, maxlen=0)
        return part

    def run(self, part: Sequence[tuple[Asked, Rules]]) -> list[Trial]:
        """The outcomes of some trials, whose means are in the table."""
        pairs = np.array(
            [[*(self.places[w] for w in windows_of(one)), *windows_of(one)] for one, _ in part],
            dtype=np.int64,
        )
        fractions = np.array([one.strategy.config.sizing.fraction for one, _ in part])  # type: ignore[union-attr]
        terms = np.array([terms_of(rules) for _, rules in part])
        found, worth = np.zeros((len(part), len(SUMS))), np.zeros((len(part), self.ends.size))
        market, code = self.market, compiled()
        assert code is not None
        code.crossings(
            self.table, self.sums, pairs, fractions, self.first, fixed(market.open),
            fixed(market.close), terms, self.ends, *space(market.ts.size), found, worth,
        )  # fmt: skip
        return [
            Trial(
                one.number, one.params,
                of_sums(
                    found[i], self.ts, self.interval, rules.cash, self.growth * rules.cash
                ),
                rules.cash,
                *in_blocks(worth[i], rules.cash),
            )
            for i, (one, rules) in enumerate(part)
        ]  # fmt: skip


def windows_of(one: Asked) -> tuple[int, int]:
    """The fast and the slow window."""
    config = one.strategy.config
    assert isinstance(config, CrossoverConfig)
    return config.fast, config.slow


def crossings_of(ground: Ground, asked: Sequence[Asked]) -> tuple[Crossings | None, list[Asked]]:
    """The trials that this is for, and the others."""
    bars = ground.bars
    prices = bars["close"].to_numpy(), bars["open"].to_numpy()
    ts = bars["ts"].to_numpy()
    ordinary = all(one.size and 0 < one.min() <= one.max() < PRICED for one in prices)
    if not ordinary or not bool(np.all(ts[1:] > ts[:-1])):
        return None, list(asked)
    first = 0 if ground.period.start is None else int(np.searchsorted(ts, ground.period.start))
    most = int(LARGEST / (float(prices[0].max()) * 1e8 + 1))
    mine: list[tuple[Asked, Rules]] = []
    others: list[Asked] = []
    settled: dict[str, Rules] = {}
    for one in asked:
        rules = _rules(ground, one, settled)
        if rules is None or not windows_of(one)[1] <= min(most, ts.size) or first >= ts.size:
            others.append(one)
        else:
            mine.append((one, rules))
    if not mine:
        return None, others
    sums = np.zeros(ts.size + 1, dtype=np.int64)
    np.cumsum(bars.select(fixed_point("close")).to_series().to_numpy(), out=sums[1:])
    market = Market(ground.symbols[0], ts, prices[1], prices[0], prices[0])
    return Crossings(market, first, ground.clock, sums, mine), others


def _rules(ground: Ground, one: Asked, settled: dict[str, Rules]) -> Rules | None:
    """The rules of a trial that is a crossing of simple means by fixed fractions, else None."""
    strategy = one.strategy
    config = strategy.config
    simple = isinstance(config, CrossoverConfig) and config.average == "sma" and not config.shorts
    bare = config.liquidity is None and config.gate is None and not config.features
    if strategy.code or not simple or not bare or not isinstance(config.sizing, FixedFraction):
        return None
    key = repr((config.backtest, config.orders, config.sizing.rebalance, config.interval))
    if key not in settled:
        try:
            settings = strategy.backtest(ground.settings)
        except CqError:
            return None
        rules = rules_of(strategy, settings)
        apart = rules.path_dependent or rules.costs.dated is not None
        if apart or (settings.warmup != "auto" and ground.period.start is not None):
            return None
        settled[key] = rules
    return settled[key]
