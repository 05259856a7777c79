"""Captured streams: messages of several kinds, one a line; their form, and their trades."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from cq.ingest.json_forms import decode_lines
from cq.ingest.pieces import Piece, Request, with_lines
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp
from cq.ingest.symbols import quote_first
from cq.ingest.tables import Table, normalise

TRADES = {name: name for name in ("ts", "price", "size", "side", "trade_id", "symbol")}


@dataclass(frozen=True)
class Messages:
    """The messages of a capture: when each was received (text, null where unsaid) and its JSON.

    `cut` are lines that are not whole messages; lines that are no messages at all (what the client
    sent, remarks) are left out.
    """

    frame: pl.DataFrame
    cut: pl.Series

    def holding(self, text: str) -> pl.DataFrame:
        """The messages in which `text` stands."""
        return self.frame.filter(pl.col("json").str.contains(text, literal=True))


def messages_of(source: Source) -> Messages:
    """The lines of a capture taken apart."""
    lines = source.lines.filter(~source.lines.str.contains(r"^wss?://"))
    parts = lines.to_frame("line").select(
        "line",
        recv=pl.col("line").str.extract(r"^(\d+(?:\.\d+)?):? ", 1),
        json=pl.col("line").str.extract(r"^(?:\d+(?:\.\d+)?:? )?(\{.*\})$", 1),
    )
    whole = parts["json"].is_not_null()
    frame = parts.filter(whole).select("recv", json=_unwrapped(pl.col("json")))
    return Messages(frame, parts.filter(~whole)["line"])


def _unwrapped(json: pl.Expr) -> pl.Expr:
    """A Binance combined stream's `{"stream": …, "data": {…}}` without its envelope."""
    return json.str.replace(r'^\{"stream":"[^"]*","data":(\{.*\})\}$', "$1")


def decoded(source: Source, messages: pl.DataFrame, **kinds: pl.DataType) -> pl.DataFrame:
    """Messages as a table of `kinds`, and their `recv`."""
    values = decode_lines(source.path, messages["json"], pl.Struct(dict(kinds)))
    return values.to_frame("value").unnest("value").with_columns(messages["recv"])


def _texts(names: str) -> dict[str, pl.DataType]:
    return {name: pl.String() for name in names.split()}


def _trades(
    source: Source, asked: Request, raw: pl.DataFrame, table: Table, cut: pl.Series
) -> Piece:
    piece = normalise(source.path, raw, table, asked)
    return with_cut_lines(piece, cut)


def with_cut_lines(piece: Piece, cut: pl.Series) -> Piece:
    """`piece` with the lines that were cut short among its broken rows."""
    return with_lines(piece, cut, "not_json")


# Binance


def is_binance(source: Source) -> bool:
    """Lines of a Binance stream."""
    return source.kind == "lines" and any(
        mark in source.head
        for mark in ('"e":"trade"', '"e":"depthUpdate"', "@bookTicker", "@trade")
    )


def binance_trades(source: Source, asked: Request) -> Piece:
    """`trade` events; `m` says that the buyer was the maker."""
    messages = messages_of(source)
    found = messages.holding('"e":"trade"')
    raw = decoded(source, found, **_texts("s t p q T m X"))
    futures = bool(raw["X"].count())
    raw = raw.select(ts="T", price="p", size="q", side="m", trade_id="t", symbol="s")
    table = Table(
        TRADES,
        Stamp(unit="ms"),
        exchange="binance_usdm" if futures else "binance",
        maker_side=True,
    )
    return _trades(source, asked, raw, table, messages.cut)


# Hyperliquid


def is_hyperliquid(source: Source) -> bool:
    """Lines of a Hyperliquid stream."""
    return source.kind == "lines" and '"channel":' in source.head[:2000]


def hyperliquid_trades(source: Source, asked: Request) -> Piece:
    """`trades` messages; side B and A are the taker's, the quote is the dollar."""
    messages = messages_of(source)
    found = messages.holding('"channel":"trades"')
    trades = pl.List(pl.Struct(_texts("coin side px sz time tid")))
    rows = decoded(source, found, data=trades).select("data").explode("data", empty_as_null=False)
    raw = rows.unnest("data").select(
        ts="time",
        price="px",
        size="sz",
        side="side",
        trade_id="tid",
        symbol=pl.col("coin") + "-USD",
    )
    table = Table(TRADES, Stamp(unit="ms"), exchange="hyperliquid")
    return _trades(source, asked, raw, table, messages.cut)


# Coinbase, as cryptofeed writes it


def is_coinbase(source: Source) -> bool:
    """Lines of a Coinbase feed."""
    return source.kind == "lines" and (
        "coinbase.com" in source.head[:200] or '"product_id":' in source.head
    )


def coinbase_trades(source: Source, asked: Request) -> Piece:
    """`match` and `last_match`; Coinbase tells the maker's side, the taker's is the other."""
    messages = messages_of(source)
    found = messages.frame.filter(pl.col("json").str.contains(r'"type":"(last_)?match"'))
    raw = decoded(source, found, **_texts("product_id time price size side trade_id")).select(
        "price", "size", "trade_id", ts="time", symbol="product_id",
        side=pl.col("side").replace({"buy": "sell", "sell": "buy"}),
    )  # fmt: skip
    return _trades(source, asked, raw, Table(TRADES, exchange="coinbase"), messages.cut)


# Mercado Bitcoin's socket


def is_mercadobitcoin(source: Source) -> bool:
    """Lines of Mercado Bitcoin's socket."""
    return source.kind == "lines" and '"id":"BRL' in source.head


def mercadobitcoin_trades(source: Source, asked: Request) -> Piece:
    """`trade` frames; the stamp is the trade's own second, as in the REST replies."""
    messages = messages_of(source)
    found = messages.holding('"type":"trade"')
    trade = pl.Struct(_texts("tid date type price amount"))
    rows = decoded(source, found, id=pl.String(), data=trade)
    raw = rows.unnest("data").select(
        "price", turned(rows["id"]).alias("symbol"),
        ts="date", size="amount", side="type", trade_id="tid",
    )  # fmt: skip
    table = Table(TRADES, Stamp(unit="s"), exchange="mercadobitcoin")
    return _trades(source, asked, raw, table, messages.cut)


def turned(ids: pl.Series) -> pl.Series:
    """Quote-first ids (`BRLBTC`) as `BASE-QUOTE`."""
    known = {one: quote_first(one) or one for one in ids.unique().drop_nulls().to_list()}
    return ids.replace_strict(known, default=None, return_dtype=pl.String)
