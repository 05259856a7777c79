"""Bars of several symbols as flat arrays over (symbol × moment), as the loop reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from cq.backtest.intents import Floats, Ints
from cq.backtest.market import Market, Rules
from cq.indicators.arrays import adjoining
from cq.indicators.windows import in_blocks, sums


def fixed(values: Any) -> Any:
    """A view that nobody writes through: one kind of array, so that one compiled form serves."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


NOTHING: Final = fixed(np.full(1, np.nan))
NOWHERE: Final = fixed(np.zeros(2, dtype=np.int64))
NEVER: Final = fixed(np.zeros(1))


@dataclass(frozen=True)
class Grid:
    """Markets, sorted by symbol, over the moments `ts` at which some of them has a bar."""

    markets: tuple[Market, ...]
    ts: Ints

    @cached_property
    def rows(self) -> list[Ints | None]:
        """For each market the moments of its bars; None where it has one at each."""
        return [
            None if one.ts.size == self.ts.size else np.searchsorted(self.ts, one.ts)
            for one in self.markets
        ]

    def flat(self, columns: Sequence[Floats]) -> Any:
        """One column of each market, one after the other, not copied where they lie so already;
        NaN where there is no bar."""
        if all(rows is None for rows in self.rows):
            whole = adjoining(columns)
            return fixed(np.concatenate(columns) if whole is None else whole)
        size = self.ts.size
        made = np.full(size * len(columns), np.nan)
        for s, (column, rows) in enumerate(zip(columns, self.rows, strict=True)):
            part = made[s * size : (s + 1) * size]
            part[slice(None) if rows is None else rows] = column
        return fixed(made)

    def bars(self, rules: Rules) -> dict[str, Any]:
        """Open, high, low, close, volume and impact; what the rules do not look at is one NaN."""
        costs, asked = rules.costs, {"open", "close"}
        if rules.orders.within_bars:
            asked |= {"high", "low"}
        if costs.participation is not None:
            asked.add("volume")
        if costs.impact is not None:
            asked.add("impact")
        return {
            name: self.flat([_needed(one, name) for one in self.markets])
            if name in asked
            else NOTHING
            for name in ("open", "high", "low", "close", "volume", "impact")
        }

    def act(self) -> Any:
        """1 where a target is acted on although it stayed; one 0 where no market says so."""
        if all(one.act is None for one in self.markets):
            return NEVER
        said = [np.zeros(m.ts.size) if m.act is None else m.act for m in self.markets]
        return self.flat([one.astype(np.float64) for one in said])

    def fine(self) -> tuple[Any, Any]:
        """Four prices of each finer bar of all markets, and where those of each cell lie."""
        if all(one.fine is None for one in self.markets):
            return NOTHING, NOWHERE
        size, before, prices = self.ts.size, 0, []
        spans = np.zeros((size * len(self.markets), 2), dtype=np.int64)
        for s, (market, rows) in enumerate(zip(self.markets, self.rows, strict=True)):
            one = market.fine
            if one is None:
                continue
            cells = s * size + (np.arange(size) if rows is None else rows)
            spans[cells] = before + np.column_stack((one.begin, one.end))
            before += one.open.size
            prices.append(np.column_stack((one.open, one.high, one.low, one.close)))
        return fixed(np.concatenate(prices).ravel()), fixed(spans.ravel())


def _needed(market: Market, name: str) -> Floats:
    column: Floats | None = getattr(market, name)
    assert column is not None, f"{market.symbol} comes without {name}"
    return column


def impact_of(close: Floats, volume: Floats, coefficient: float, window: int) -> Floats:
    """What √quantity is multiplied by at each bar: coefficient × deviation / √(mean volume).

    Both are of the `window` bars before; 0 until there are two returns, and while nothing was
    traded in all of them.
    """
    window = max(2, min(window, close.size))  # more than there are is all of them
    returns = pl.Series(close).log().diff()
    deviation = returns.rolling_std(window, min_samples=2).shift(1).fill_null(0.0).to_numpy()
    usual = _usual(volume, window)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = coefficient * deviation / np.sqrt(usual)
    return np.where(np.isfinite(found), found, 0.0)


def _usual(volume: Floats, window: int) -> Floats:
    """The mean volume of the `window` bars before each, or of those that there are.

    Each window is added up afresh: what a running sum keeps of volume that has left it would be
    next to nothing, and divided by that.
    """
    before = np.concatenate((np.zeros(window), volume[:-1]))
    found: Floats = in_blocks([before], sums, window)[window - 1 :]
    return found[: volume.size] / np.clip(np.arange(volume.size), 1, window)
