"""Captured streams as layouts, and the order books in them."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from cq.ingest import captures
from cq.ingest.books import PAIRS, settled, sides
from cq.ingest.captures import decoded, messages_of, turned, with_cut_lines
from cq.ingest.layout import Layout
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp, nanoseconds

Reader = Callable[[Source, Request], Piece]


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
        is_snapshot=pl.lit(value=False), first_id=(pl.col("pu") + 1).fill_null(pl.col("U")),
        last_id="u", **sides("b", "a"),
    )  # fmt: skip
    markets = read["symbol"].unique().drop_nulls().to_list()
    only = markets[0] if len(markets) == 1 else None
    full = decoded(source, images, lastUpdateId=pl.Int64(), bids=PAIRS, asks=PAIRS).select(
        images["place"], symbol=pl.lit(only, pl.String), ts=_received(images),
        is_snapshot=pl.lit(value=True), first_id=pl.lit(None, pl.Int64), last_id="lastUpdateId",
        **sides("bids", "asks"),
    )  # fmt: skip
    both = pl.concat([read, full]).sort("place").drop("place")
    return with_cut_lines(settled(source.path, both, asked, "binance"), messages.cut)


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
        symbol=pl.col("coin") + "-USD", ts=pl.col("time") * 1_000_000,
        is_snapshot=pl.lit(value=True),
        bid_prices=side(0, "px"), bid_sizes=side(0, "sz"),
        ask_prices=side(1, "px"), ask_sizes=side(1, "sz"),
    )  # fmt: skip
    return with_cut_lines(settled(source.path, full, asked, "hyperliquid"), messages.cut)


def coinbase_books(source: Source, asked: Request) -> Piece:
    """`snapshot` (stamped when received) and `l2update` (buy is the bid side)."""
    messages = messages_of(source)
    ordered = messages.frame.with_row_index("place")
    images = ordered.filter(pl.col("json").str.contains('"type":"snapshot"', literal=True))
    diffs = ordered.filter(pl.col("json").str.contains('"type":"l2update"', literal=True))
    full = decoded(source, images, product_id=pl.String(), bids=PAIRS, asks=PAIRS).select(
        images["place"], symbol="product_id", ts=_received(images), is_snapshot=pl.lit(value=True),
        **sides("bids", "asks"),
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
    return with_cut_lines(settled(source.path, both, asked, "coinbase"), messages.cut)


def mercadobitcoin_books(source: Source, asked: Request) -> Piece:
    """`orderbook` frames: each is a full book, stamped when it was built."""
    messages = messages_of(source)
    found = messages.holding('"type":"orderbook"')
    data = pl.Struct({"asks": PAIRS, "bids": PAIRS, "timestamp": pl.Int64})
    rows = decoded(source, found, id=pl.String(), ts=pl.Int64(), data=data).unnest("data")
    full = rows.select(
        turned(rows["id"]).alias("symbol"), ts=pl.col("timestamp").fill_null(pl.col("ts")),
        is_snapshot=pl.lit(value=True), **sides("bids", "asks"),
    )  # fmt: skip
    return with_cut_lines(settled(source.path, full, asked, "mercadobitcoin"), messages.cut)


def _stream(
    name: str, says: str, matches: Callable[[Source], bool], trades: Reader, books: Reader
) -> Layout:
    """A capture holds trades and books; which of them are read depends on the dataset."""

    def read(source: Source, asked: Request) -> Piece:
        return (trades if asked.dataset == "trades" else books)(source, asked)

    return Layout(name, ("trades", "orderbook_l2"), says, matches, read)


LAYOUTS = (
    _stream(
        "binance-stream",
        "captured Binance stream, `<recv ns> <json>` lines: trade, depth, REST snapshot",
        captures.is_binance,
        captures.binance_trades,
        binance_books,
    ),
    _stream(
        "hyperliquid-stream",
        "captured Hyperliquid stream, `<recv ns> <json>` lines: trades, l2Book",
        captures.is_hyperliquid,
        captures.hyperliquid_trades,
        hyperliquid_books,
    ),
    _stream(
        "coinbase-stream",
        "Coinbase feed as cryptofeed captures it: match, snapshot, l2update",
        captures.is_coinbase,
        captures.coinbase_trades,
        coinbase_books,
    ),
    _stream(
        "mercadobitcoin-stream",
        "Mercado Bitcoin socket frames, one a line: trade, orderbook",
        captures.is_mercadobitcoin,
        captures.mercadobitcoin_trades,
        mercadobitcoin_books,
    ),
)
