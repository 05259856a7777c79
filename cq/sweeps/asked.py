"""What a sweep follows from, all of it: by that one that was stopped is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from cq.backtest.code import code_of, code_version
from cq.backtest.single import rules_of
from cq.errors import CqError
from cq.lake import reading
from cq.sweeps.ground import Ground, history
from cq.utils.time import bar_end

if TYPE_CHECKING:
    from cq.strategies import Strategy
    from cq.sweeps.door import How, Setting
    from cq.sweeps.runner import Runner
    from cq.sweeps.space import Axis, Point
    from cq.utils.trading_settings import Backtest

BARS: Final = ("symbols", "interval", "exchange")
"""What of a strategy says which bars it is run over."""


def asked_of(
    setting: Setting, axes: Sequence[Axis], points: Iterable[Point], how: How, runner: Runner
) -> dict[str, Any]:
    """All that the outcomes of a sweep follow from."""
    recipe, seen = setting.recipe, _seen(points, runner, setting.settings)
    return {
        "file": recipe.path and hashlib.sha256(recipe.path.read_bytes()).hexdigest(),
        "strategy": recipe.strategy and recipe.strategy.config.model_dump(mode="json"),
        "overrides": recipe.overrides,
        "settings": setting.settings.model_dump(mode="json"),
        "period": [setting.period.start, setting.period.end],
        "quote": setting.quote,
        "axes": [[one.name, list(one.span or one.values)] for one in axes],
        "random": [how.random, how.seed],
        "bars": [_digest(runner, strategy, detail) for strategy, detail in seen],
        "code": next((code_of(strategy) for strategy, _ in seen), code_version()),
    }


def _seen(
    points: Iterable[Point], runner: Runner, settings: Backtest
) -> list[tuple[Strategy, str | None]]:
    """Of all combinations that see the same bars, the one that looks back furthest, and its finer
    interval."""
    furthest: dict[Any, tuple[int, Strategy, str | None]] = {}
    for params in points:
        with suppress(CqError):  # its trial says it for itself
            strategy = runner.made(params)
            own = strategy.backtest(settings)
            detail = own.detail_interval
            if detail is not None and not rules_of(strategy, own).orders.within_bars:
                detail = None
            key, bars = (*bars_key(strategy), detail), history(strategy, own)
            if key not in furthest or furthest[key][0] < bars:
                furthest[key] = bars, strategy, detail
    return [(strategy, detail) for _, strategy, detail in furthest.values()]


def bars_key(strategy: Strategy) -> tuple[Any, ...]:
    """Which bars a strategy is run over."""
    return tuple(getattr(strategy.config, name) for name in BARS)


def _digest(runner: Runner, strategy: Strategy, detail: str | None) -> str | None:
    """What names the bars of a strategy; None where there are none, as its trials say."""
    try:
        ground = runner.ground(strategy)
    except CqError:
        return None
    taken = hashlib.sha256("/".join(ground.symbols).encode())
    finer = () if detail is None else _finer(ground, strategy, detail)
    for bars in (ground.bars, *finer):
        for column in bars:
            if column.dtype.is_numeric():
                taken.update(np.ascontiguousarray(column.to_numpy()).tobytes())
    return taken.hexdigest()


def _finer(ground: Ground, strategy: Strategy, detail: str) -> Iterator[pl.DataFrame]:
    """The finer bars within those of each symbol, as far as there are some."""
    lake, config, ts = ground.lake, strategy.config, ground.bars["ts"]
    if lake is None or ts.is_empty():
        return
    first, last = int(ts.min()), int(ts.max())  # type: ignore[arg-type]
    end = bar_end(last, config.interval)
    for symbol in ground.symbols:
        with suppress(CqError), reading(lake.root):
            yield lake.bars(symbol, detail, first, end, exchange=config.exchange).collect()
