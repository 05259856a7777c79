"""Finer bars of the lake beside a market's own: they say what came first within a bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from cq.backtest.data import fingerprint
from cq.backtest.frames import Part
from cq.backtest.market import Fine, Market
from cq.errors import DataError, UsageError
from cq.lake import reading
from cq.utils.time import bar_end, interval_ns

if TYPE_CHECKING:
    from cq.lake import Lake
    from cq.lake.fingerprint import Fingerprint

PRICES = ("open", "high", "low", "close")


def with_detail(
    lake: Lake,
    markets: Sequence[Market],
    interval: str,
    detail: str,
    exchange: str | None,
    say: Callable[[str], None],
) -> tuple[list[Market], Fingerprint | None]:
    """Markets with their finer bars, and the fingerprint of those; None where there are none.

    Finer bars that do not begin and end at their bar's open and close, or do not reach its high and
    low, are not all there: that bar is taken as it is. So is a market of which no finer bars serve,
    and `say` is told.
    """
    if interval_ns(interval) % interval_ns(detail) or interval_ns(interval) == interval_ns(detail):
        raise UsageError(
            f"backtest.detail_interval: {detail} does not divide {interval}; "
            "expected a finer interval such as 1m"
        )
    found, parts = [], []
    for one in markets:
        ends = one.ts + interval_ns(interval)
        if interval == "1M":
            ends = np.array([bar_end(ts, interval) for ts in one.ts.tolist()], dtype=np.int64)
        try:
            plan = lake.bars(
                one.symbol, detail, int(one.ts[0]), int(ends[-1]), exchange=exchange
            ).select("ts", *PRICES)
            with reading(lake.root):
                bars = plan.collect()
        except DataError:
            bars = pl.DataFrame()
        if bars.is_empty():
            say(
                f"{one.symbol}: no {detail} bars within its own: the worse order of events is taken"
            )
            found.append(one)
            continue
        parts.append(Part.alone(one.symbol, bars))
        fine = _fine(one, ends, bars)
        if not (fine.begin < fine.end).any():
            say(
                f"{one.symbol}: its {detail} bars make none of its own up (open, high, low and "
                "close): the worse order of events is taken"
            )
        found.append(replace(one, fine=fine))
    if not parts:
        return found, None
    first = min(int(part.rows.item(0, "ts")) for part in parts)
    return found, fingerprint(lake, parts, detail, exchange, first)


def _fine(market: Market, ends: Any, bars: pl.DataFrame) -> Fine:
    ts = bars["ts"].to_numpy()
    prices = {name: bars[name].to_numpy() for name in PRICES}
    begin, end = (np.searchsorted(ts, edges) for edges in (market.ts, ends))
    held = np.flatnonzero(begin < end)
    edges = np.column_stack((begin[held], end[held])).ravel()
    high = np.maximum.reduceat(np.append(prices["high"], -np.inf), edges)[::2]
    low = np.minimum.reduceat(np.append(prices["low"], np.inf), edges)[::2]
    assert market.high is not None
    assert market.low is not None
    whole = (high >= market.high[held]) & (low <= market.low[held])
    whole &= prices["open"][begin[held]] == market.open[held]
    whole &= prices["close"][end[held] - 1] == market.close[held]
    short = held[~whole]
    end[short] = begin[short]
    return Fine(begin, end, **prices)
