"""Train a strategy's gate before it decides; never on what the future says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl

from cq.checks import leaks, suspicions
from cq.errors import StrategyError, UsageError
from cq.features.gate import load, trained
from cq.signals import collected, ungated
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.strategies import Strategy

LOOKS: Final = 6
"""Moments at which features are looked at, and as many of the first ones."""
MOST: Final = 5_000
"""Bars a symbol that are looked at."""


def with_gate(strategy: Strategy, bars: pl.DataFrame | None) -> Strategy:
    """The strategy with its gate: the one that it names, else one trained over `bars`.

    StrategyError where a feature or the signal sees the future: what learned from that would be
    worthless. Without `bars` a gate has to be named.
    """
    config = strategy.config.gate_config
    if config is None:
        return strategy
    if config.trained is not None:
        return replace(strategy, gate=load(config.trained))
    if bars is None:
        raise UsageError(
            f"{strategy.name} has a gate that is not trained; run `cq backtest` with it, then name "
            "what that saved: --set gate.trained=runs/ID/gate.joblib"
        )
    _refuse_the_future(strategy, bars)
    rows = collected(ungated(bars.lazy(), strategy), strategy)
    pipeline = strategy.config.pipeline
    return replace(strategy, gate=trained(rows, config, pipeline.columns, pipeline.interval))


def _refuse_the_future(strategy: Strategy, bars: pl.DataFrame) -> None:
    where = f"{strategy.code or strategy.name}: its gate is not trained"
    plan = ungated(bars.clear().lazy(), strategy)
    if found := suspicions(plan):
        one = found[0]
        raise StrategyError(where, f"column {one.column or '?'} sees the future: {one.what}")
    some = bars.sort("symbol", "ts").group_by("symbol", maintain_order=True).head(MOST)

    def make(part: pl.DataFrame) -> pl.DataFrame:
        return collected(ungated(part.lazy(), strategy), strategy)

    if differing := leaks(make, some, LOOKS, dense=LOOKS):
        first = differing[0]
        raise StrategyError(
            where, f"column {first.column} sees the future: {first.symbol} at {iso(first.ts)}"
        )
