"""What an exchange must offer; everything outside an exchange's own folder knows only this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from cq.errors import UsageError
from cq.utils.time import interval_ns


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
        and is empty only where there is nothing.
        """
        ...

    def time_ns(self, now_ns: int) -> int:
        """What the exchange's own clock says at `now_ns`, or a little less; `now_ns` if unknown."""
        ...


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
