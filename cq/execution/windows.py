"""The newest bars in memory, and what the strategy wants at their close."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from cq import signals
from cq.backtest.bars import check_rows
from cq.errors import StrategyError
from cq.execution.loop import Wish
from cq.strategies.reach import Times, first_places
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.strategies import Strategy

READ = ("ts", "symbol", "open", "close")
"""What a step and cq's own strategies read of a bar."""

KEPT_WINDOWS = 4
"""How many windows of bars are kept before the oldest are let go."""


class Windows:
    """For each symbol, bars in time order; `wishes` looks at the last `warmup` of them.

    Where symbols are compared those are more (`first_places`). The same `cq.signals.targets` as in
    a backtest, over a window just long enough for its last row to equal that over all history.
    """

    def __init__(self, strategy: Strategy, bars: pl.DataFrame) -> None:
        self.strategy = strategy
        self._bars: dict[str, pl.DataFrame] = {}
        self._times: dict[str, Times] = {}
        for symbol, frame in _by_symbol(bars):
            self._keep(symbol, frame)

    def extend(self, bars: pl.DataFrame) -> None:
        """Add newer bars; what no window can reach any more is let go."""
        for symbol, frame in _by_symbol(bars):
            known = self._bars.get(symbol)
            if known is not None:
                newer = frame.select(known.columns).filter(pl.col("ts") > known["ts"][-1])
                frame = pl.concat([known, newer])
            self._keep(symbol, frame)
        if bars.height:
            self._let_go(bars.select(pl.col("ts").min()).item())

    def _let_go(self, since: int) -> None:
        """Keep what decisions from `since` on look at, and some windows.

        What is compared stays as long as the next bar of any symbol may look back on it.
        """
        if self.strategy.compared:
            since = min(since, *self.newest().values())
        usual = KEPT_WINDOWS * self.strategy.warmup
        for symbol, first in self._first_places(self._times, since).items():
            bars, times = self._bars[symbol], self._times[symbol]
            begin = max(0, min(first, times.size - usual))
            if begin or bars.n_chunks() > 1:
                self._bars[symbol] = bars[begin:].rechunk()
                self._times[symbol] = self._bars[symbol]["ts"].to_numpy()

    def _first_places(self, times: Mapping[str, Times], since: int) -> dict[str, int]:
        return first_places(times, since, self.strategy.warmup, self.strategy.compares)

    def _keep(self, symbol: str, frame: pl.DataFrame) -> None:
        self._bars[symbol] = frame if self.strategy.reads_all else frame.select(READ)
        self._times[symbol] = frame["ts"].to_numpy()

    def height(self, symbol: str) -> int:
        """How many bars of `symbol` are held."""
        return self._bars[symbol].height if symbol in self._bars else 0

    def newest(self) -> dict[str, int]:
        """The opening time of the newest bar, by symbol."""
        return {symbol: int(times[-1]) for symbol, times in self._times.items() if len(times)}

    def after(self, symbol: str, ts: int) -> pl.DataFrame:
        """The bars of `symbol` that are held and open after `ts`."""
        return self._bars[symbol].filter(pl.col("ts") > ts)

    def wishes(self, ts: int, symbols: Collection[str]) -> Mapping[str, Wish]:
        """What the strategy wants of `symbols` at the close of their bars that opened at `ts`."""
        times = {
            symbol: opens[: np.searchsorted(opens, ts, side="right")]
            for symbol, opens in sorted(self._times.items())
            if opens.size and opens[0] <= ts
        }
        if not any(times[one][-1] == ts for one in symbols if one in times):
            return {}
        begins = self._first_places(times, ts)
        usual = {one: max(0, opens.size - self.strategy.warmup) for one, opens in times.items()}
        window = pl.concat(
            self._bars[one][min(begin, begins.get(one, begin)) : times[one].size]
            for one, begin in usual.items()
        )
        found = signals.targets(window.lazy(), self.strategy)
        last = signals.collected(found, self.strategy, engine="in-memory")
        if self.strategy.code is not None:
            check_rows(last, window, self.strategy)
        here = np.flatnonzero(last["ts"].to_numpy() == ts).tolist()
        rows = (last.row(row, named=True) for row in here)
        return {r["symbol"]: self._wish(r) for r in rows if r["symbol"] in symbols}

    def _wish(self, row: Mapping[str, Any]) -> Wish:
        """One row of targets; StrategyError when its target is no number."""
        target = row["target"]
        if target is not None and not math.isfinite(target):
            raise StrategyError(
                str(self.strategy.code or self.strategy.name),
                f"the target of {row['symbol']} at {iso(row['ts'])} is {target}; "
                "expected a fraction of equity, or null",
            )
        known = target if target is None else max(target, 0.0)
        return Wish(row["signal"], known, bool(row.get("act")))


def _by_symbol(bars: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    parts = bars.partition_by("symbol", as_dict=True, maintain_order=True)
    return ((str(symbol), rows) for (symbol,), rows in parts.items())
