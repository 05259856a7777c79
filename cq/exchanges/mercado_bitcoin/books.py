"""Order books on the wire: what to ask for and what comes back."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.numbers import nanoseconds, parsed
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE, checked

DEEPEST: Final = 1000

LEVELS: Final = pl.List(pl.Struct({"price": pl.Float64, "size": pl.Float64}))


def question(symbol: str, depth: int) -> Question[pl.DataFrame]:
    """Ask for the best `depth` levels of each side."""
    if not 1 <= depth <= DEEPEST:
        raise UsageError(f"a depth of {depth} is no book's; expected 1 to {DEEPEST} levels a side")
    path = f"/{checked(symbol)}/orderbook"
    return Question(
        "orderbook",
        path,
        lambda body: book_from(body, symbol, path, depth),
        {"limit": depth},
        symbol=symbol,
    )


def book_from(
    body: str | bytes, symbol: str, path: str = "/orderbook", depth: int = DEEPEST
) -> pl.DataFrame:
    """One row of the lake's `orderbook_l2`: the best bid and the best ask come first.

    Sorted here, since the documents and the wire disagree about the order of bids. A market
    without an order is a book with two empty sides; `ts` is null where the reply has no stamp.
    """
    said = parsed(body, path)
    if not isinstance(said, dict) or not {"asks", "bids"} <= said.keys():
        raise Unreadable(path, "it has no asks and bids")
    sides = {
        name: _levels(said[name] or [], path, descending=name == "bids").head(depth)
        for name in ("bids", "asks")
    }
    stamp = said.get("timestamp")
    ts = nanoseconds(stamp if stamp is None else str(stamp), path)
    return pl.DataFrame(
        {
            "ts": pl.Series([ts], dtype=pl.Int64),
            **{name: pl.Series([side.to_struct()], dtype=LEVELS) for name, side in sides.items()},
            "symbol": [symbol],
            "exchange": [EXCHANGE],
        }
    )


def _levels(pairs: Any, path: str, *, descending: bool) -> pl.DataFrame:
    if not isinstance(pairs, list) or any(
        not isinstance(pair, list) or len(pair) != 2 for pair in pairs
    ):
        raise Unreadable(path, "its levels are no pairs of price and quantity")
    columns = {
        name: pl.Series([pair[place] for pair in pairs], dtype=pl.String, strict=False)
        for place, name in enumerate(("price", "size"))
    }
    levels = pl.DataFrame(columns).select(pl.all().cast(pl.Float64, strict=False))
    if levels.null_count().sum_horizontal().item():
        raise Unreadable(path, "its levels are no numbers")
    return levels.sort("price", descending=descending, maintain_order=True)
