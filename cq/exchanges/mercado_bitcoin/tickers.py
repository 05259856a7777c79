"""Tickers on the wire: the last day of many markets in one reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.numbers import decoded, floats, seconds
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE, checked

PATH: Final = "/tickers"

A_REQUEST: Final = 400
"""Symbols in one request: 409 were seen to fit into a URL."""

PRICES: Final = {
    "last": "last",
    "bid": "buy",
    "ask": "sell",
    "open": "open",
    "high": "high",
    "low": "low",
}
"""Our name → the wire's."""

_WIRE: Final = pl.Struct(dict.fromkeys(("pair", "date", "vol", *PRICES.values()), pl.String()))


def questions(symbols: Sequence[str]) -> list[Question[pl.DataFrame]]:
    """Ask for these markets, in as few requests as they fit into."""
    names = list(dict.fromkeys(checked(one) for one in symbols))
    if not names:
        raise UsageError("tickers of no symbol; name some, such as BTC-BRL")
    return [
        Question("tickers", PATH, tickers_from, {"symbols": ",".join(some)})
        for some in (names[at : at + A_REQUEST] for at in range(0, len(names), A_REQUEST))
    ]


def tickers_from(body: str | bytes) -> pl.DataFrame:
    """One row a market: ts (ns, the row's last change), prices, volume, symbol, exchange.

    Open, high, low and volume are of the last 24 hours. A price of 0 says that there is none, such
    as the last one of a market without a trade in that time, and is null. Unreadable where a date
    is not in seconds.
    """
    rows = decoded(body, _WIRE, PATH).struct.unnest()
    if rows["pair"].null_count():
        raise Unreadable(PATH, "its tickers lack a pair")
    return rows.select(
        seconds(rows["date"], PATH).alias("ts"),
        *(
            pl.when(floats(pl.col(theirs)) > 0).then(floats(pl.col(theirs))).alias(ours)
            for ours, theirs in PRICES.items()
        ),
        floats(pl.col("vol")).alias("volume"),
        pl.col("pair").alias("symbol"),
        pl.lit(EXCHANGE).alias("exchange"),
    )
