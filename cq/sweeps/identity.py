"""What trials are trials of: strategy, symbols, interval, configuration, as their rows keep it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cq.backtest.code import code_of
from cq.backtest.tried import key_of
from cq.lake.raw import TRIALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cq.strategies import Strategy
    from cq.utils.trading_settings import Backtest

KEY: Final = "key"
"""By it a trial is known again, in whichever sweep or backtest."""


class Identities:
    """Who each trial is, by its own strategy; what many of them have in common is made once."""

    def __init__(self, settings: Backtest) -> None:
        self.settings = settings
        self._backtests: dict[str, dict[str, Any]] = {}
        self._code: dict[str, Any] | None = None

    def of(self, strategy: Strategy, symbols: Sequence[str]) -> dict[str, Any]:
        """The columns that say it; `symbols` are those that the lake had."""
        config = {
            "strategy": strategy.config.model_dump(mode="json", exclude={"backtest"}),
            "backtest": self._backtest(strategy),
            "symbols": list(symbols),
            "code": self._code_of(strategy),
        }
        return {
            "strategy": strategy.name,
            "interval": strategy.config.interval,
            "symbols": config["symbols"],
            "config": json.dumps(config),
            KEY: key_of(config),
        }

    def _backtest(self, strategy: Strategy) -> dict[str, Any]:
        said = repr(strategy.config.backtest)
        if said not in self._backtests:
            self._backtests[said] = strategy.backtest(self.settings).model_dump(mode="json")
        return self._backtests[said]

    def _code_of(self, strategy: Strategy) -> dict[str, Any]:
        """A sweep is of one strategy, so that the code is the same in all trials."""
        if self._code is None:
            self._code = code_of(strategy)
        return self._code


def frame_of_identities(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """A row a trial, with the columns that are there."""
    rows = list(rows)
    kinds = {**TRIALS, KEY: pl.String()}
    return pl.DataFrame(rows, {name: kinds[name] for name in (rows[0] if rows else ())})
