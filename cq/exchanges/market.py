"""What an exchange must offer; everything outside an exchange's own folder knows only this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import polars as pl

from cq.errors import UsageError
from cq.exchanges.trade_pages import Ask
from cq.lake.lake import Moment, moment
from cq.utils.time import interval_ns, iso

UNITS: Final = 10**8
"""Sizes have at most 8 decimals on every exchange that cq knows, so that they can be added up as
whole numbers of these, exactly."""


class MarketData(Protocol):
    """Public market data of one exchange."""

    @property
    def name(self) -> str:
        """The exchange's code in the lake."""
        ...

    @property
    def intervals(self) -> tuple[str, ...]:
        """The intervals of bars that it serves itself, shortest first."""
        ...

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """The bars that open in [start_ns, end_ns), oldest first, the one in progress included.

        Columns as in the lake's `ohlcv`. Buckets without a trade may be left out, and a long
        range may be answered in part: a reply holds neighbours, cut at one end or the other,
        and is empty only where there is nothing, or nothing any more.
        """
        ...

    def time_ns(self, now_ns: int) -> int:
        """What the exchange's own clock says at `now_ns`, or a little less; `now_ns` if unknown."""
        ...


class Clocked(Protocol):
    """An exchange with a name and a clock."""

    @property
    def name(self) -> str:
        """The exchange's code in the lake."""
        ...

    def time_ns(self, now_ns: int) -> int:
        """What the exchange's own clock says at `now_ns`, or a little less; `now_ns` if unknown."""
        ...


class TradeHistory(Clocked, Protocol):
    """Past trades of one exchange, whose ids are dense in each market."""

    @property
    def trade_cap(self) -> int:
        """A reply of so many trades may have been cut."""
        ...

    @property
    def trades_by_id(self) -> bool:
        """Whether it may be asked for the trades after an id."""
        ...

    def trade_page(self, symbol: str, ask: Ask) -> pl.DataFrame:
        """One reply to what a plan wishes to know, by rising id.

        Columns as in the lake's `trades`. Of what was asked for, neighbours come; which ones, and
        whether others come as well, is left to the plan to find out.
        """
        ...

    def missing_trades(self, symbol: str, first_id: int, last_id: int) -> pl.DataFrame:
        """Every trade of [first_id, last_id]; TradesMissing where it does not give some."""
        ...

    def trades_after(self, symbol: str, trade_id: int) -> pl.DataFrame:
        """The trades right after `trade_id`, as many as one reply holds, without a hole."""
        ...

    def newest_trades(self, symbol: str) -> pl.DataFrame:
        """The last trades, as many as one reply holds, by rising id."""
        ...


class Books(Clocked, Protocol):
    """Order books of one exchange."""

    def book(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        """The order book now, as one row of the lake's `orderbook_l2`."""
        ...


def period(start: Moment, end: Moment, now_ns: int) -> tuple[int, int]:
    """[start, end) in nanoseconds; UsageError where it ends before it begins, or has not begun."""
    first, last = moment(start, 0), moment(end, now_ns)
    if first >= now_ns:
        raise UsageError(f"{iso(first)} lies in the future; there is nothing to fetch yet")
    if last <= first:
        raise UsageError(f"the end, {iso(last)}, is not after the start, {iso(first)}")
    return max(0, first), last


def native(interval: str, intervals: Sequence[str], exchange: str) -> str:
    """`interval` itself; UsageError naming the exchange's set and the one to ingest instead."""
    if interval in intervals:
        return interval
    length = interval_ns(interval)
    anchored_alike = [one for one in intervals if one[-1] in "mhd"]
    divides = [one for one in anchored_alike if length % interval_ns(one) == 0]
    advice = (
        f"ingest {divides[-1]}, and the lake makes {interval} of it when it is read"
        if divides
        else "nothing finer to make it from"
    )
    raise UsageError(f"{exchange} has no {interval} bars, only {', '.join(intervals)}; {advice}")
