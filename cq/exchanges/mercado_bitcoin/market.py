"""Mercado Bitcoin's public market data, in the lake's words."""

from __future__ import annotations

from typing import Final, Self

import polars as pl

from cq.exchanges.mercado_bitcoin import books, trade_talks, trades
from cq.exchanges.mercado_bitcoin import candles as wire
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.rest import Rest
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE
from cq.exchanges.mercado_bitcoin.talks import hold, just

__all__ = ["EXCHANGE", "MercadoBitcoin"]

AFTER_ID: Final = "since"
"""The parameter that asks for the trades after an id."""


class MercadoBitcoin:
    """Public market data over REST v4; a `cq.exchanges.MarketData`."""

    name = EXCHANGE
    intervals = wire.INTERVALS

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """The bars that open in [start_ns, end_ns), oldest first, the one in progress included."""
        rows = hold(just(wire.question(symbol, interval, start_ns, end_ns)), self.rest.ask)
        inside = rows.filter(pl.col("ts").is_between(start_ns, end_ns - 1))
        if inside.is_empty() and (rows["ts"] >= end_ns).any():
            raise Unreadable(wire.PATH, "its bars open after the range that was asked for")
        return inside.with_columns(
            symbol=pl.lit(symbol), exchange=pl.lit(EXCHANGE), interval=pl.lit(interval)
        )

    def trades_after(self, symbol: str, trade_id: int) -> pl.DataFrame:
        """The trades right after `trade_id`, by rising id and without a hole; 1,000 at most.

        Empty only where the exchange has nothing newer.
        """
        return hold(trade_talks.after(symbol, trade_id, AFTER_ID), self.rest.ask)

    def trades_between(self, symbol: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """What one reply holds of the trades of [start_ns, end_ns); cut at 1,000, at either end."""
        rows = hold(just(trades.between(symbol, start_ns, end_ns)), self.rest.ask)
        return rows.filter(pl.col("ts").is_between(start_ns, end_ns - 1))

    def newest_trades(self, symbol: str, count: int = trades.LIMIT) -> pl.DataFrame:
        """The last trades, by rising id."""
        return hold(just(trades.newest(symbol, count)), self.rest.ask)

    def missing_trades(self, symbol: str, first_id: int, last_id: int) -> pl.DataFrame:
        """Every trade of [first_id, last_id], by rising id, in as many requests as it takes.

        TradesMissing (with what was found) where the exchange does not give some of them.
        """
        return hold(trade_talks.missing(symbol, first_id, last_id, AFTER_ID), self.rest.ask)

    def book(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        """The best `depth` levels of each side: one row of the lake's `orderbook_l2`."""
        return hold(just(books.question(symbol, depth)), self.rest.ask)

    def time_ns(self, now_ns: int) -> int:
        """The exchange's clock at `now_ns`, a second late at most; `now_ns` itself at first."""
        return now_ns + (self.rest.offset_ns or 0)

    def close(self) -> None:
        """Let the connections go."""
        self.rest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
