"""WebSocket frames, thousands at a time: texts built by column, bytes put together at once."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from cq.sim.arrays import Ints, TradeArrays
from cq.sim.books import BookArrays
from cq.sim.listing import UNIT, Listing
from cq.utils.time import MILLISECOND, SECOND

DELAY_NS = 3 * MILLISECOND
"""A frame leaves so long after what it tells."""

_TEXT = b"\x81"[0]  # FIN, opcode 1
_LONG, _HUGE = 126, 127


def trade_texts(listing: Listing, trades: TradeArrays, late_ns: int) -> pl.DataFrame:
    """One frame a trade, in columns `ts` and `text`."""
    columns = pl.DataFrame(
        {
            "ts": trades.ts,
            "tid": trades.tid,
            "price": trades.price * listing.scale,
            "size": trades.size,
            "buys": trades.side > 0,
        }
    )
    text = pl.concat_str(
        pl.lit(f'{{"type":"trade","id":"{listing.wire}","ts":'),
        (pl.col("ts") + (DELAY_NS + late_ns)).cast(pl.String),
        pl.lit(',"data":{"tid":'),
        pl.col("tid").cast(pl.String),
        pl.lit(',"date":'),
        (pl.col("ts") // SECOND).cast(pl.String),
        pl.lit(',"type":"'),
        pl.when("buys").then(pl.lit("buy")).otherwise(pl.lit("sell")),
        pl.lit('","price":'),
        _number("price"),
        pl.lit(',"amount":'),
        _number("size"),
        pl.lit("}}"),
    )
    return columns.select("ts", text=text)


def _number(name: str) -> pl.Expr:
    """Units of 1e-8 as the shortest JSON number: 485685, 0.0517, 0.00000001."""
    whole, part = pl.col(name) // UNIT, pl.col(name) % UNIT
    decimals = part.cast(pl.String).str.zfill(8).str.strip_chars_end("0")
    point = pl.when(part > 0).then(pl.lit(".")).otherwise(pl.lit(""))
    return pl.concat_str(whole.cast(pl.String), point, decimals)


def book_text(listing: Listing, book: BookArrays, limit: int, ts: int, built_ns: int) -> str:
    """One frame with a whole book."""

    def side(ticks: Ints, sizes: Ints) -> str:
        pairs = zip((ticks * listing.scale).tolist(), sizes.tolist(), strict=True)
        return ",".join(f"[{shortest(price)},{shortest(size)}]" for price, size in pairs)

    return (
        f'{{"type":"orderbook","id":"{listing.wire}","ts":{ts},"limit":{limit},"data":'
        f'{{"asks":[{side(book.ask, book.ask_size)}],"bids":[{side(book.bid, book.bid_size)}],'
        f'"timestamp":{built_ns}}}}}'
    )


def shortest(units: int) -> str:
    """One number of units of 1e-8, without what it does not need."""
    whole, part = divmod(units, UNIT)
    return f"{whole}.{part:08d}".rstrip("0") if part else str(whole)


def ticker_text(listing: Listing, data: dict[str, Any], ts: int) -> str:
    """One frame with the rolling day."""
    said = {"type": "ticker", "id": listing.wire, "ts": ts, "data": data}
    return json.dumps(said, separators=(",", ":"))


def packed(texts: pl.Series) -> bytes:
    """The texts as WebSocket frames, unmasked and uncompressed, one after the other."""
    sizes = texts.str.len_bytes().cast(pl.Int64)
    room = (
        pl.when(sizes < _LONG)
        .then(pl.lit("00"))
        .when(sizes < 65_536)
        .then(pl.lit("0000"))
        .otherwise(pl.lit("0000000000"))
    )
    framed = pl.select(text=pl.concat_str(room, texts), size=sizes)
    blob = np.frombuffer(bytearray(framed["text"].str.join("").item().encode()), np.uint8)
    size = sizes.to_numpy()
    head = np.where(size < _LONG, 2, np.where(size < 65_536, 4, 10))
    at = np.cumsum(head + size) - head - size
    blob[at] = _TEXT
    short, long, huge = (head == 2, head == 4, head == 10)
    blob[at[short] + 1] = size[short]
    _put(blob, at[long], size[long], _LONG, 2)
    _put(blob, at[huge], size[huge], _HUGE, 8)
    return blob.tobytes()


def _put(blob: Any, at: Ints, size: Ints, mark: int, width: int) -> None:
    blob[at + 1] = mark
    for byte in range(width):
        blob[at + 2 + byte] = (size >> (8 * (width - 1 - byte))) & 255
