"""Mercado Bitcoin's public market data, in the lake's words."""

from __future__ import annotations

from typing import Final, Self

import polars as pl

from cq.errors import NoSuchMarket, Refused
from cq.exchanges.mercado_bitcoin import candles as wire
from cq.exchanges.mercado_bitcoin.errors import UNKNOWN_SYMBOL, Unreadable
from cq.exchanges.mercado_bitcoin.rest import Rest

EXCHANGE: Final = "mercadobitcoin"
"""The exchange's code in the lake."""


class MercadoBitcoin:
    """Public market data over REST v4; a `cq.exchanges.MarketData`."""

    name = EXCHANGE
    intervals = wire.INTERVALS

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """The bars that open in [start_ns, end_ns), oldest first, the one in progress included."""
        try:
            rows = self.rest.ask(wire.question(symbol, interval, start_ns, end_ns))
        except Refused as refused:
            if refused.code.rpartition("|")[2] in UNKNOWN_SYMBOL:
                raise NoSuchMarket(
                    symbol, refused.path, refused.status, refused.code, refused.message
                ) from None
            raise
        inside = rows.filter(pl.col("ts").is_between(start_ns, end_ns - 1))
        if inside.is_empty() and (rows["ts"] >= end_ns).any():
            raise Unreadable(wire.PATH, "its bars open after the range that was asked for")
        return inside.with_columns(
            symbol=pl.lit(symbol), exchange=pl.lit(EXCHANGE), interval=pl.lit(interval)
        )

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
