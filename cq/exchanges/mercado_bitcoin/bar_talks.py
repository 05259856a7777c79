"""Talks about bars: one reply, or all the pages that a range takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from cq.exchanges.market import native
from cq.exchanges.mercado_bitcoin import candles as wire
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE
from cq.exchanges.mercado_bitcoin.talks import Talk
from cq.exchanges.pages import Pages
from cq.lake.resample import closing

PAGE_BARS: Final = 1000
"""Bars asked for in one request; how many a reply may hold is not documented."""


def candles(symbol: str, interval: str, start_ns: int, end_ns: int) -> Talk[pl.DataFrame]:
    """What one reply holds of the bars that open in [start_ns, end_ns)."""
    rows: pl.DataFrame = yield wire.question(symbol, interval, start_ns, end_ns)
    inside = rows.filter(pl.col("ts").is_between(start_ns, end_ns - 1))
    if inside.is_empty() and (rows["ts"] >= end_ns).any():
        raise Unreadable(wire.PATH, "its bars open after the range that was asked for")
    return inside.with_columns(
        symbol=pl.lit(symbol), exchange=pl.lit(EXCHANGE), interval=pl.lit(interval)
    )


def whole(
    symbol: str, interval: str, start_ns: int, end_ns: int, exchange_ns: Callable[[], int]
) -> Talk[pl.DataFrame]:
    """Every bar that opens in [start_ns, end_ns) and has closed, in as many pages as it takes."""
    native(interval, wire.INTERVALS, "Mercado Bitcoin")
    pages = Pages(interval, [(start_ns, end_ns)], PAGE_BARS)
    found = []
    while (asked := pages.next()) is not None:
        rows = yield from candles(symbol, interval, *asked)
        pages.answer(asked, rows["ts"])
        found.append(rows.filter(closing(pl.col("ts"), interval) <= exchange_ns()))
    return pl.concat(found).unique("ts", keep="first").sort("ts")
