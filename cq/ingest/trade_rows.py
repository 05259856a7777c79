"""What trades need beyond numbers: the taker's side in the lake's words, and an id for each."""

from __future__ import annotations

from typing import Final

import polars as pl

SIDES: Final = {
    "buy": "buy", "b": "buy", "bid": "buy", "compra": "buy",
    "sell": "sell", "s": "sell", "a": "sell", "ask": "sell", "venda": "sell",
}  # fmt: skip
MAKER_IS_BUYER: Final = {"true": "sell", "false": "buy", "1": "sell", "0": "buy"}


def with_side_and_id(
    trades: pl.DataFrame, side: pl.Series | None, ids: pl.Series | None, maker_side: bool = False
) -> pl.DataFrame:
    """`trades` with `side` (buy, sell, null where unsaid) and `trade_id` (made where absent).

    A side in other words stays as it is, for the lake's rule to name.
    """
    trades = trades.with_columns(side=_said(side, len(trades), maker_side))
    if ids is not None and not ids.null_count():
        return trades.with_columns(ids.alias("trade_id"))
    made = made_ids(trades)
    return trades.with_columns((made if ids is None else ids.fill_null(made)).alias("trade_id"))


def _said(side: pl.Series | None, rows: int, maker_side: bool) -> pl.Series:
    if side is None:
        return pl.Series("side", [None], pl.String).new_from_index(0, rows)
    words = MAKER_IS_BUYER if maker_side else SIDES
    lower = side.str.strip_chars().str.to_lowercase()
    lower = lower.set(lower == "", None)
    return lower.replace_strict(words, default=lower, return_dtype=pl.String)


def made_ids(trades: pl.DataFrame) -> pl.Series:
    """Ids for trades that have none: stamp, price, size, side and which of the identical ones.

    They depend on nothing else, so that the same file gives the same ids again, and trades that
    look alike stay apart.
    """
    same = ("symbol", "exchange", "ts", "price", "size", "side")
    what = [pl.col(name).cast(pl.String).fill_null("-") for name in same[2:]]
    which = pl.int_range(pl.len()).over(same)
    return trades.select(pl.concat_str(*what, which, separator="/").alias("trade_id")).to_series()
