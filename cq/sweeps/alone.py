"""One trial run for itself: its curve, and what its own backtest would warn of."""

from __future__ import annotations

from dataclasses import dataclass

from cq.backtest.doubts import doubts
from cq.backtest.engine import Simulation, simulate
from cq.backtest.frames import Part
from cq.backtest.market import Market, Rules
from cq.backtest.warnings import known_faults, missed, spent
from cq.strategies import Strategy
from cq.sweeps.ground import Ground
from cq.sweeps.runner import Runner
from cq.sweeps.space import Point


@dataclass(frozen=True)
class Run:
    """One trial run for itself, with all that it came from."""

    strategy: Strategy
    ground: Ground
    parts: list[Part]
    markets: list[Market]
    rules: Rules
    made: Simulation

    def doubts(self) -> tuple[str, ...]:
        """What its own backtest would warn of."""
        strategy, made, ground = self.strategy, self.made, self.ground
        bars, config = ground.seen(strategy, strategy.backtest(ground.settings)), strategy.config
        faults: list[str] = []
        if ground.lake is not None:
            series = ground.lake.series(ground.symbols, config.interval, config.exchange)
            faults = known_faults(ground.lake, series, ground.period)
        return (
            *faults,
            *doubts(bars.lazy(), self.parts, self.markets, self.rules, strategy, made),
            *missed(self.markets, made, self.rules.interval),
            *spent(made, self.rules.cash),
        )


def run_of(runner: Runner, params: Point) -> Run:
    """The run with these parameters."""
    strategy = runner.made(params)
    ground = runner.ground(strategy)
    parts, markets, rules, first = ground.markets(strategy, strategy.backtest(ground.settings))
    return Run(strategy, ground, parts, markets, rules, simulate(markets, rules, first))
