"""Layouts of order books."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from cq.errors import UnknownLayout
from cq.ingest.hints import hints_of
from cq.ingest.layout import Layout, raw_table
from cq.ingest.pieces import Piece, Request, decided, with_lines
from cq.ingest.replay import MESSAGE, books_of
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp, nanoseconds
from cq.ingest.symbols import mapping_of
from cq.ingest.tables import before_bitcoin

BOOKS = ("orderbook_l2",)
PAIRS = pl.List(pl.List(pl.String()))


def _numbers(pairs: pl.Expr, place: int) -> pl.Expr:
    """The prices (0) or sizes (1) of `[["price", "size"], …]`."""
    return pairs.list.eval(
        pl.element().list.get(place, null_on_oob=True).cast(pl.Float64, strict=False)
    )


def sides(bids: str, asks: str) -> dict[str, pl.Expr]:
    """The four lists of a message out of two columns of `[price, size]` pairs."""
    return {
        "bid_prices": _numbers(pl.col(bids), 0),
        "bid_sizes": _numbers(pl.col(bids), 1),
        "ask_prices": _numbers(pl.col(asks), 0),
        "ask_sizes": _numbers(pl.col(asks), 1),
    }


def settled(
    path: Path,
    messages: pl.DataFrame,
    asked: Request,
    exchange: str | None,
    symbol: str | None = None,
    rows: int | None = None,
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
        pl.lit(None, kind).alias(name)
        for name, kind in MESSAGE.items()
        if name not in (*messages.columns, "symbol", "exchange")
    )
    if asked.at_ns is None and len(whole) and whole["ts"].null_count() == len(whole):
        raise UnknownLayout(path, "holds books without a time; say when with --at TIME")
    before_bitcoin(path, "ts", whole["ts"])
    return books_of(whole, asked, rows).noting(said_symbol, said_exchange)


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
    ).select("ts", is_snapshot=pl.lit(value=True), **sides("bids", "asks"))
    symbol = hints_of(source).symbol
    return settled(source.path, one, asked, "mercadobitcoin", symbol)


def _text_pairs(levels: list[list[object]]) -> list[list[str]]:
    return [[str(value) for value in level[:2]] for level in levels]


# one row a level


LEVELS = {
    "ts": ("ts", "timestamp"), "side": ("side",), "price": ("price",), "size": ("size", "amount"),
    "level": ("level",), "is_snapshot": ("is_snapshot",), "symbol": ("symbol",),
    "exchange": ("exchange",), "first_id": ("first_id",), "last_id": ("last_id",),
    "recv_ts": ("recv_ts", "local_timestamp"), "seq": ("seq",),
}  # fmt: skip
"""Our names and those of others, Tardis among them."""

SAID = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def _levels_columns(source: Source) -> dict[str, str]:
    return {
        ours: next(name for name in names if name in source.columns)
        for ours, names in LEVELS.items()
        if set(names) & set(source.columns)
    }


def _is_levels(source: Source) -> bool:
    found = _levels_columns(source).keys()
    return {"ts", "side", "price", "size"} <= found and bool({"is_snapshot", "level"} & found)


def _levels(source: Source, asked: Request) -> Piece:
    columns = _levels_columns(source)
    raw, spoiled = raw_table(source, tuple(columns.values()))
    rows = raw.select(pl.col(theirs).alias(ours) for ours, theirs in columns.items())
    zone = asked.timezone or asked.default_timezone
    rows = rows.with_columns(
        nanoseconds(rows["ts"], Stamp(), zone).ts.alias("ts"),
        pl.col([one for one in ("seq", "first_id", "last_id") if one in columns]).cast(pl.Int64),
        *([_truth(source.path, rows["is_snapshot"])] if "is_snapshot" in columns else []),
    )
    piece = settled(source.path, messages_from_levels(rows), asked, None, rows=rows.height)
    return with_lines(piece, spoiled, "field_count")


def _truth(path: Path, said: pl.Series) -> pl.Series:
    """A column of true and false, however they are written."""
    if said.dtype == pl.Boolean:
        return said
    words = said.cast(pl.String).str.strip_chars().str.to_lowercase()
    strange = words.filter(~words.is_in(list(SAID)) | words.is_null())
    if len(strange):
        raise UnknownLayout(
            path, f"column {said.name} holds {strange[0]!r}; expected true or false, 1 or 0"
        )
    return words.replace_strict(SAID, return_dtype=pl.Boolean)


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
        .with_columns(
            pl.lit(None, pl.Int64).alias(name)
            for name in ("first_id", "last_id")
            if name not in rows.columns
        )
    )  # fmt: skip


# best bid and ask


BBO = ("ts", "bid", "bid_size", "ask", "ask_size")


def _is_bbo(source: Source) -> bool:
    return set(BBO) <= set(source.columns)


def _bbo(source: Source, asked: Request) -> Piece:
    columns = tuple(name for name in (*BBO, "symbol", "exchange") if name in source.columns)
    rows, spoiled = raw_table(source, columns)
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
    piece = settled(source.path, messages, asked, None, rows=rows.height)
    return with_lines(piece, spoiled, "field_count")


LAYOUTS = (
    Layout(
        "mercadobitcoin-book",
        BOOKS,
        "Mercado Bitcoin order book, v3 or v4 JSON: asks, bids, timestamp",
        _is_mb_book,
        _mb_book,
    ),
    Layout(
        "levels",
        BOOKS,
        "one row a level: full books and differences by `seq`, or full books by `level`",
        _is_levels,
        _levels,
    ),
    Layout("bbo", BOOKS, "best bid and ask a row: ts, bid, bid_size, ask, ask_size", _is_bbo, _bbo),
)
