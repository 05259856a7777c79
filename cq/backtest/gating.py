"""Train a strategy's gate before it decides; never on what the future says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cq.checks import leaks, suspicions
from cq.errors import StrategyError, UsageError
from cq.features.gate import load, trained
from cq.signals import collected, ungated
from cq.strategies.contract import StrategyConfig
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.features.gate import Gate
    from cq.strategies import Strategy

LOOKS: Final = 6
"""Moments at which features are looked at, and as many of the first ones."""
MOST: Final = 5_000
"""Bars a symbol that are looked at."""
_INPUTS: Final = "gate.inputs"


def _silent(_: str) -> None:
    return None


def with_gate(
    strategy: Strategy,
    bars: pl.DataFrame | None,
    say: Callable[[str], None] = _silent,
    start: int | None = None,
) -> Strategy:
    """The strategy with its gate: the one that it names, else one trained over `bars`.

    StrategyError where a feature or the signal sees the future: what learned from that would be
    worthless; UsageError where the gate that it names has learned on something else. Without
    `bars` a gate has to be named. With `start` bars before it are there to learn from, and models
    are made for the period and its warm-up only.
    """
    config = strategy.config.gate_config
    if config is None:
        return strategy
    if config.trained is not None:
        return replace(strategy, gate=_kept(strategy, say))
    if bars is None:
        raise UsageError(
            f"{strategy.name} has a gate that is not trained; run `cq backtest` with it, then name "
            "what that saved: --set gate.trained=runs/ID/gate.joblib"
        )
    _refuse_the_future(strategy, bars)
    rows = collected(ungated(bars.lazy(), strategy), strategy)
    pipeline = strategy.config.pipeline
    since = None if start is None else _first_decided(bars, strategy, start)
    made = trained(rows, config, pipeline.columns, pipeline.interval, since)
    return replace(strategy, gate=replace(made, learned_on=learned_on(strategy)))


def _first_decided(bars: pl.DataFrame, strategy: Strategy, start: int) -> int:
    """The oldest bar that a target of a period which begins at `start` looks back on."""
    older = bars.filter(pl.col("ts") < start).sort("ts").group_by("symbol")
    first = older.tail(strategy.warmup - 1)["ts"].min()
    return start if first is None else int(first)  # type: ignore[arg-type]


def _kept(strategy: Strategy, say: Callable[[str], None]) -> Gate:
    """The gate that a run has saved, at the threshold that the strategy's file says now."""
    config = strategy.config.gate_config
    assert config is not None
    assert config.trained is not None
    kept = load(config.trained)
    now, then = learned_on(strategy), kept.learned_on
    if then is None:
        say(
            f"note: {config.trained} does not say what its features were made of; their names "
            "alone are compared"
        )
        now, then = {_INPUTS: now[_INPUTS]}, {_INPUTS: _said(sorted(kept.inputs))}
    for key in {**now, **then}:
        if now.get(key) != then.get(key):
            raise UsageError(
                f"{config.trained} has learned on {key}: {then.get(key, 'none')}, which is "
                f"{now.get(key, 'none')} now; take the old one, or train again without gate.trained"
            )
    return replace(kept, threshold=config.threshold)


def learned_on(strategy: Strategy) -> dict[str, str]:
    """What decides the rows that a gate learns on, by the keys of the strategy's file.

    The parameters of the signals count where it learns from rows that have one.
    """
    config, gate = strategy.config, strategy.config.gate_config
    assert gate is not None
    inputs = gate.inputs or config.pipeline.columns
    found: dict[str, Any] = {
        "interval": config.interval,
        _INPUTS: sorted(inputs),
        "gate.label": gate.label_in_full,
        **{f"features.{one.name}": one.described for one in config.pipeline.behind(inputs)},
    }
    if gate.learn_from == "signals":
        own = config.model_dump(mode="json", exclude=set(StrategyConfig.model_fields) - {"kind"})
        found |= own
    return {key: _said(value) for key, value in found.items()}


def _said(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


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
