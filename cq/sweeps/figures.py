"""What is kept of a trial: the metrics of its run, and its equity at a few moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cq.backtest.engine import Simulation, buy_and_hold
from cq.backtest.intents import Floats, Ints
from cq.backtest.market import Market, Rules
from cq.backtest.metrics import Metrics, annualized, bars_of, finite, metrics, sharpe_of, years_of
from cq.lake.raw import FIGURES
from cq.sweeps.kernel import SUMS
from cq.utils.time import bar_end, interval_ns

if TYPE_CHECKING:
    from cq.strategies import Strategy

BLOCKS: Final = 16
"""Stretches of time that the probability of overfitting is told from."""
EACH: Final = 256
"""Moments a stretch at which equity is kept, at the most."""
LAST: Final = {name: place for place, name in enumerate(SUMS)}


@dataclass(frozen=True)
class Trial:
    """One combination of parameters and what became of it.

    `sums` and `squares` are those of the returns between the kept moments, a number a block.
    """

    number: int
    params: dict[str, Any]
    figures: Metrics
    cash: float
    sums: Floats = field(repr=False)
    squares: Floats = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """A combination that could not be run, and why."""

    number: int
    params: dict[str, Any]
    error: Exception


@dataclass(frozen=True)
class Invalid:
    """A combination that makes no sense, such as a fast mean slower than the slow one."""

    number: int
    params: dict[str, Any]
    error: Exception


@dataclass(frozen=True)
class Asked:
    """A combination that makes sense: its place in the sweep, and its strategy."""

    number: int
    params: dict[str, Any]
    strategy: Strategy


@dataclass(frozen=True)
class Clock:
    """The moments at which equity is kept: ends of bars, the same for all trials of a sweep.

    They are as many of all closes, whichever trial's, apart from each other.
    """

    moments: Ints

    @classmethod
    def of(cls, closes: Ints) -> Clock:
        """Those among the closes of all trials, each once and in order."""
        size = int(closes.size)
        count = BLOCKS * min(EACH, size // BLOCKS) or 1
        return cls(closes[np.arange(1, count + 1, dtype=np.int64) * size // count - 1])

    @property
    def each(self) -> int:
        """How many of them are in a stretch; none where there are too few bars for stretches."""
        return int(self.moments.size) // BLOCKS

    def counts(self, ts: Ints, interval: str) -> Ints:
        """How many bars of a trial are closed by each; before its first one it holds cash."""
        return np.searchsorted(bar_ends(ts, interval), self.moments, side="right")


def bar_ends(ts: Ints, interval: str) -> Ints:
    """When the bars that open then close."""
    if interval.endswith("M"):
        return np.array([bar_end(one, interval) for one in ts.tolist()], dtype=np.int64)
    return ts + interval_ns(interval)


def of_run(
    made: Simulation, markets: Sequence[Market], rules: Rules, clock: Clock
) -> tuple[Metrics, Floats]:
    """The figures of a run, and its equity at the kept moments."""
    held = float(buy_and_hold(markets, int(made.ts[0]), made.ts[-1:], rules.cash)[0])
    found = metrics(
        made.ts, made.equity, made.exposure, made.fills,
        cash=rules.cash, interval=rules.interval, held=held,
    )  # fmt: skip
    kept = np.append(rules.cash, made.equity)[clock.counts(made.ts, rules.interval)]
    return {name: finite(found[name]) for name in FIGURES}, kept


def of_sums(sums: Floats, ts: Ints, interval: str, cash: float, held: float) -> Metrics:
    """The same from what the kernel added up."""
    row = dict(zip(SUMS, sums.tolist(), strict=True))
    growth, size = row["last"] / cash - 1, ts.size
    trips, wins, losses = int(row["trips"]), int(row["wins"]), int(row["losses"])
    bars, years = bars_of(ts, interval), years_of(ts, interval)
    found = {
        "total_return": growth,
        "buy_and_hold": held / cash - 1,
        "annualized_return": annualized(growth, years),
        "sharpe": sharpe_of(row["returned"], row["squared"], bars, interval),
        "max_dd": min(row["max_dd"], 0.0),
        "hit_rate": wins / trips if trips else None,
        "payoff": row["gained"] / wins / (row["lost"] / losses) if wins and losses else None,
        "turnover": row["traded"] / (row["equities"] / size) / years,
        "trades": int(row["trades"]),
        "round_trips": trips,
        "fees": row["fees"],
        "slippage": row["slippage"],
        "exposure": row["exposures"] / size,
    }
    return {name: finite(found[name]) for name in FIGURES}


def in_blocks(kept: Floats, cash: float) -> tuple[Floats, Floats]:
    """Sums of the returns between the kept moments, and of their squares, block by block."""
    before = np.concatenate(([cash], kept[:-1]))
    returns = kept / np.where(before > 0, before, 1.0) - 1
    blocks = returns.reshape(BLOCKS, -1) if returns.size % BLOCKS == 0 else returns[:0]
    if not blocks.size:
        return np.zeros(0), np.zeros(0)
    return blocks.sum(axis=1), (blocks**2).sum(axis=1)
