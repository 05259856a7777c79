"""Layouts of order books."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from cq.errors import UnknownLayout
from cq.ingest import captures
from cq.ingest.captures import decoded, messages_of, stream, turned, with_cut_lines
from cq.ingest.hints import hints_of
from cq.ingest.layout import Layout
from cq.ingest.pieces import Piece, Request, decided
from cq.ingest.replay import MESSAGE, books_of
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp, nanoseconds
from cq.ingest.symbols import mapping_of

BOOKS = ("orderbook_l2",)
PAIRS = pl.List(pl.List(pl.String()))


def _numbers(pairs: pl.Expr, place: int) -> pl.Expr:
    """The prices (0) or sizes (1) of `[["price", "size"], …]`."""
    return pairs.list.eval(
        pl.element().list.get(place, null_on_oob=True).cast(pl.Float64, strict=False)
    )


def _sides(bids: str, asks: str) -> dict[str, pl.Expr]:
    return {
        "bid_prices": _numbers(pl.col(bids), 0),
        "bid_sizes": _numbers(pl.col(bids), 1),
        "ask_prices": _numbers(pl.col(asks), 0),
        "ask_sizes": _numbers(pl.col(asks), 1),
    }


def _books(
    path: Path, messages: pl.DataFrame, asked: Request, exchange: str | None, symbol: str | None = None
) -> Piece:
    """Books of `messages`, whose symbol and exchange are settled as for any table."""
    found = messages["symbol"] if "symbol" in messages.columns else None
    if found is not None:
        known = mapping_of(found.unique().drop_nulls().to_list())
        found = found.replace_strict(known, default=None, return_dtype=pl.String)
    column = messages["exchange"] if "exchange" in messages.columns else None
    symbols, said_symbol = decided(path, "symbol", asked.symbol, found, symbol)
    exchanges, said_exchange = decided(path, "exchange", asked.exchange, column, exchange)
    whole = messages.with_columns(
        (pl.lit(one).alias(name) if isinstance(one, str) else one.alias(name))
        for name, one in (("symbol", symbols), ("exchange", exchanges))
    ).with_columns(
        pl.lit(None, kind).alias(name) for name, kind in MESSAGE.items() if name not in messages.columns
        and name not in ("symbol", "exchange")
    )  # fmt: skip
    if asked.at_ns is None and len(whole) and whole["ts"].null_count() == len(whole):
        raise UnknownLayout(path, "holds books without a time; say when with --at TIME")
    return books_of(whole, asked).noting(said_symbol, said_exchange)


# captures


def _received(messages: pl.DataFrame) -> pl.Series:
    """When each message was received: ns, or seconds with a fraction."""
    return nanoseconds(messages["recv"], Stamp()).ts


def binance_books(source: Source, asked: Request) -> Piece:
    """`depthUpdate` events on a REST snapshot, which has no time and no symbol of its own."""
    messages = messages_of(source)
    ordered = messages.frame.with_row_index("place")
    diffs = ordered.filter(pl.col("json").str.contains('"e":"depthUpdate"', literal=True))
    images = ordered.filter(pl.col("json").str.starts_with('{"lastUpdateId"'))
    texts = {name: pl.String() for name in ("s", "E")}
    ids = {name: pl.Int64() for name in ("U", "u", "pu")}
    read = decoded(source, diffs, **texts, **ids, b=PAIRS, a=PAIRS).select(
        diffs["place"], symbol="s", ts=pl.col("E").cast(pl.Int64, strict=False) * 1_000_000,
        is_snapshot=pl.lit(value=False), first_id=(pl.col("pu") + 1).fill_null(pl.col("U")), last_id="u", **_sides("b", "a"),
    )  # fmt: skip
    markets = read["symbol"].unique().drop_nulls().to_list()
    only = markets[0] if len(markets) == 1 else None
    full = decoded(source, images, lastUpdateId=pl.Int64(), bids=PAIRS, asks=PAIRS).select(
        images["place"], symbol=pl.lit(only, pl.String), ts=_received(images),
        is_snapshot=pl.lit(value=True), first_id=pl.lit(None, pl.Int64), last_id="lastUpdateId",
        **_sides("bids", "asks"),
    )  # fmt: skip
    both = pl.concat([read, full]).sort("place").drop("place")
    return with_cut_lines(_books(source.path, both, asked, "binance"), messages.cut)


def hyperliquid_books(source: Source, asked: Request) -> Piece:
    """`l2Book` messages: each is a full book."""
    messages = messages_of(source)
    found = messages.holding('"channel":"l2Book"')
    level = pl.Struct({"px": pl.String, "sz": pl.String})
    data = pl.Struct({"coin": pl.String, "time": pl.Int64, "levels": pl.List(pl.List(level))})
    rows = decoded(source, found, data=data).unnest("data")

    def side(place: int, name: str) -> pl.Expr:
        level = pl.col("levels").list.get(place, null_on_oob=True)
        return level.list.eval(pl.element().struct.field(name).cast(pl.Float64, strict=False))

    full = rows.select(
        symbol=pl.col("coin") + "-USD", ts=pl.col("time") * 1_000_000, is_snapshot=pl.lit(value=True),
        bid_prices=side(0, "px"), bid_sizes=side(0, "sz"),
        ask_prices=side(1, "px"), ask_sizes=side(1, "sz"),
    )  # fmt: skip
    return with_cut_lines(_books(source.path, full, asked, "hyperliquid"), messages.cut)


def coinbase_books(source: Source, asked: Request) -> Piece:
    """`snapshot` (stamped when received) and `l2update` (buy is the bid side)."""
    messages = messages_of(source)
    ordered = messages.frame.with_row_index("place")
    images = ordered.filter(pl.col("json").str.contains('"type":"snapshot"', literal=True))
    diffs = ordered.filter(pl.col("json").str.contains('"type":"l2update"', literal=True))
    full = decoded(source, images, product_id=pl.String(), bids=PAIRS, asks=PAIRS).select(
        images["place"], symbol="product_id", ts=_received(images), is_snapshot=pl.lit(value=True),
        **_sides("bids", "asks"),
    )  # fmt: skip
    read = decoded(source, diffs, product_id=pl.String(), time=pl.String(), changes=PAIRS)

    def changed(side: str, place: int) -> pl.Expr:
        of_side = pl.element().filter(pl.element().list.first() == side)
        return pl.col("changes").list.eval(
            of_side.list.get(place, null_on_oob=True).cast(pl.Float64, strict=False)
        )

    updates = read.select(
        diffs["place"], symbol="product_id", ts=nanoseconds(read["time"], Stamp()).ts,
        is_snapshot=pl.lit(value=False),
        bid_prices=changed("buy", 1), bid_sizes=changed("buy", 2),
        ask_prices=changed("sell", 1), ask_sizes=changed("sell", 2),
    )  # fmt: skip
    both = pl.concat([full, updates]).sort("place").drop("place")
    return with_cut_lines(_books(source.path, both, asked, "coinbase"), messages.cut)


def mercadobitcoin_books(source: Source, asked: Request) -> Piece:
    """`orderbook` frames: each is a full book, stamped when it was built."""
    messages = messages_of(source)
    found = messages.holding('"type":"orderbook"')
    data = pl.Struct({"asks": PAIRS, "bids": PAIRS, "timestamp": pl.Int64})
    rows = decoded(source, found, id=pl.String(), ts=pl.Int64(), data=data).unnest("data")
    full = rows.select(
        turned(rows["id"]).alias("symbol"), ts=pl.col("timestamp").fill_null(pl.col("ts")),
        is_snapshot=pl.lit(value=True), **_sides("bids", "asks"),
    )  # fmt: skip
    return with_cut_lines(_books(source.path, full, asked, "mercadobitcoin"), messages.cut)


# one book as JSON


def _is_mb_book(source: Source) -> bool:
    return source.kind == "json" and {"asks", "bids"} <= set(source.columns) <= {
        "asks", "bids", "timestamp"
    }  # fmt: skip


def _mb_book(source: Source, asked: Request) -> Piece:
    value = source.json
    stamp = value.get("timestamp") or None
    one = pl.DataFrame(
        {"ts": [stamp], **{side: [_text_pairs(value[side])] for side in ("bids", "asks")}},
        schema={"ts": pl.Int64, "bids": PAIRS, "asks": PAIRS},
    ).select("ts", is_snapshot=pl.lit(value=True), **_sides("bids", "asks"))
    symbol = hints_of(source).symbol
    return _books(source.path, one, asked, "mercadobitcoin", symbol)


def _text_pairs(levels: list[list[object]]) -> list[list[str]]:
    return [[str(value) for value in level[:2]] for level in levels]


# one row a level


def _is_levels(source: Source) -> bool:
    return {"ts", "side", "price", "size"} <= set(source.columns) and bool(
        {"is_snapshot", "level"} & set(source.columns)
    )


def _levels(source: Source, asked: Request) -> Piece:
    from cq.ingest.layout import raw_table

    known = ("ts", "side", "price", "size", "level", "first_id", "last_id", "is_snapshot",
             "symbol", "exchange", "recv_ts", "seq")  # fmt: skip
    columns = tuple(name for name in known if name in source.columns)
    rows, _ = raw_table(source, columns)
    return _books(source.path, messages_from_levels(rows), asked, None)


def messages_from_levels(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a message out of one row a level, in the order of `seq` (or of the file).

    Rows belong to one message as long as stamp, ids and kind stay the same. Where nothing says
    what is a full book (`level` instead of `is_snapshot`), every message is one.
    """
    who = [name for name in ("exchange", "symbol") if name in rows.columns]
    if "seq" in rows.columns:
        rows = rows.sort(*who, "seq")
    if "is_snapshot" not in rows.columns:
        rows = rows.with_columns(is_snapshot=pl.lit(value=True))
    same = [name for name in (*who, "is_snapshot", "first_id", "last_id", "ts", "recv_ts")
            if name in rows.columns]  # fmt: skip
    number = pl.struct(same).rle_id().alias("message")
    side = pl.col("side").cast(pl.String).str.to_lowercase().str.slice(0, 1)
    bid, ask = side.is_in(["b"]), side.is_in(["a", "s"])
    kept = [name for name in same if name != "recv_ts"]
    price = pl.col("price").cast(pl.Float64, strict=False)
    size = pl.col("size").cast(pl.Float64, strict=False)
    return (
        rows.with_columns(number)
        .group_by("message", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in kept),
            bid_prices=price.filter(bid), bid_sizes=size.filter(bid),
            ask_prices=price.filter(ask), ask_sizes=size.filter(ask),
        )
        .drop("message")
    )  # fmt: skip


# best bid and ask


BBO = ("ts", "bid", "bid_size", "ask", "ask_size")


def _is_bbo(source: Source) -> bool:
    return set(BBO) <= set(source.columns)


def _bbo(source: Source, asked: Request) -> Piece:
    from cq.ingest.layout import raw_table

    columns = tuple(name for name in (*BBO, "symbol", "exchange") if name in source.columns)
    rows, _ = raw_table(source, columns)
    stamps = nanoseconds(rows["ts"], Stamp(), asked.timezone or asked.default_timezone)
    who = [name for name in ("symbol", "exchange") if name in rows.columns]
    messages = rows.select(
        *who, stamps.ts.alias("ts"), is_snapshot=pl.lit(value=True),
        **{
            f"{side}_{plural}": pl.concat_list(pl.col(name).cast(pl.Float64, strict=False))
            for side in ("bid", "ask")
            for plural, name in (("prices", side), ("sizes", f"{side}_size"))
        },
    )  # fmt: skip
    return _books(source.path, messages, asked, None)


STREAMS = (
    stream("binance-stream", "captured Binance stream, `<recv ns> <json>` lines: trade, depth and REST snapshot", captures.is_binance, captures.binance_trades, binance_books),
    stream("hyperliquid-stream", "captured Hyperliquid stream, `<recv ns> <json>` lines: trades, l2Book", captures.is_hyperliquid, captures.hyperliquid_trades, hyperliquid_books),
    stream("coinbase-stream", "Coinbase feed as cryptofeed captures it: match, snapshot, l2update", captures.is_coinbase, captures.coinbase_trades, coinbase_books),
    stream("mercadobitcoin-stream", "Mercado Bitcoin socket frames, one a line: trade, orderbook", captures.is_mercadobitcoin, captures.mercadobitcoin_trades, mercadobitcoin_books),
)  # fmt: skip
LAYOUTS = (
    *STREAMS,
    Layout("mercadobitcoin-book", BOOKS, "Mercado Bitcoin order book, v3 or v4 JSON: asks, bids, timestamp", _is_mb_book, _mb_book),
    Layout("levels", BOOKS, "one row a level: full books and differences by `seq`, or full books by `level`", _is_levels, _levels),
    Layout("bbo", BOOKS, "best bid and ask a row: ts, bid, bid_size, ask, ask_size", _is_bbo, _bbo),
)  # fmt: skip
