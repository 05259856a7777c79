"""Trades on the wire: what to ask for and what comes back.

What the exchange does with `since` and with the ends of `from` and `to` is not documented. So the
window asked for is a second wider than meant at both ends, and callers look at the ids that came.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.numbers import decoded, floats, seconds
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE, checked
from cq.utils.time import SECOND

LIMIT: Final = 1000
"""More trades than these are in no reply; a reply of so many may have been cut, at either end."""

_WIRE: Final = pl.Struct(dict.fromkeys(("tid", "date", "type", "price", "amount"), pl.String()))


def newest(symbol: str, count: int = LIMIT) -> Question[pl.DataFrame]:
    """Ask for the last `count` trades."""
    return _question(symbol, {"limit": count})


def after(symbol: str, trade_id: int, parameter: str = "since") -> Question[pl.DataFrame]:
    """Ask for the trades that follow `trade_id`."""
    return _question(symbol, {parameter: trade_id, "limit": LIMIT})


def between(symbol: str, start_ns: int, end_ns: int) -> Question[pl.DataFrame]:
    """Ask for the trades of [start_ns, end_ns), and those of a second on either side."""
    query = {
        "from": max(0, start_ns // SECOND - 1),
        "to": -(-end_ns // SECOND),
        "limit": LIMIT,
    }
    return _question(symbol, query)


def _question(symbol: str, query: dict[str, int]) -> Question[pl.DataFrame]:
    path = f"/{checked(symbol)}/trades"
    return Question(
        "trades", path, lambda body: trades_from(body, symbol, path), query, symbol=symbol
    )


def trades_from(body: str | bytes, symbol: str, path: str = "/trades") -> pl.DataFrame:
    """The rows of a reply in the columns of the lake's `trades`, by rising id, each id once.

    The order of a reply depends on the parameters, so it is never trusted. A price or a size that
    is no number is null, and the lake's rules decide about its row.
    """
    rows = decoded(body, _WIRE, path).struct.unnest()
    ids = rows["tid"].cast(pl.Int64, strict=False)
    if ids.null_count():
        raise Unreadable(path, "its trades lack a whole number as tid")
    return (
        rows.select(
            seconds(rows["date"], path).alias("ts"),
            floats(pl.col("price")).alias("price"),
            floats(pl.col("amount")).alias("size"),
            pl.col("type").str.to_lowercase().alias("side"),
            ids.alias("trade_id"),
        )
        .unique("trade_id", keep="first", maintain_order=True)
        .sort("trade_id")
        .with_columns(
            pl.col("trade_id").cast(pl.String),
            symbol=pl.lit(symbol),
            exchange=pl.lit(EXCHANGE),
        )
    )
