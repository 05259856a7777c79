"""Candles few enough to be seen, whatever the history: each gathers as many bars as it has to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from cq.backtest import BacktestResult
from cq.errors import CqError
from cq.lake import reading
from cq.utils.time import interval_ns

if TYPE_CHECKING:
    from cq.lake import Lake

PRICES = ("open", "high", "low", "close")


def candles(
    result: BacktestResult, symbol: str, start: int, end: int, most: int, lake: Lake | None = None
) -> pl.DataFrame:
    """ts and prices of at most `most` candles of bars that open in [start, end).

    Highs and lows are the lake's; without it, or where the run did not read them, the extremes of
    opens and closes.
    """
    bars = _bars(result, symbol, start, end, lake)
    length = interval_ns(result.interval)
    width = bars_each(result.interval, start, end, most) * length
    place = (pl.col("ts") - start + length // 2) // width  # a month begins near a multiple only
    return (
        bars.group_by(place.alias("place"))
        .agg(
            pl.col("ts").min(),
            pl.col("open").sort_by("ts").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").sort_by("ts").last(),
        )
        .drop("place")
        .sort("ts")
        .collect()
    )


def bars_each(interval: str, start: int, end: int, most: int) -> int:
    """How many bars a candle gathers, for at most `most` of them."""
    return max(1, -(-(end - start) // (interval_ns(interval) * most)))


def _bars(
    result: BacktestResult, symbol: str, start: int, end: int, lake: Lake | None
) -> pl.LazyFrame:
    if lake is not None:
        exchange = result.config["strategy"].get("exchange")
        try:
            with reading(lake.root):
                return lake.bars(symbol, result.interval, start, end, exchange=exchange).select(
                    "ts", *PRICES
                )
        except CqError:  # whatever became of the lake, the run has prices of its own
            pass
    market = next(one for one in result.markets if one.symbol == symbol)
    frame = pl.LazyFrame({"ts": market.ts, "open": market.open, "close": market.close})
    ends = ("open", "close")
    high = pl.max_horizontal(ends) if market.high is None else pl.lit(pl.Series(market.high))
    low = pl.min_horizontal(ends) if market.low is None else pl.lit(pl.Series(market.low))
    return frame.with_columns(high=high, low=low).filter(
        pl.col("ts").is_between(start, end, closed="left")
    )


def marked(fills: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """ts, side, high and low of candles in which was traded: one row a candle and side."""
    return (
        fills.sort("ts")
        .join_asof(
            shown.select("ts", "high", "low", candle="ts").sort("ts"), on="ts", strategy="backward"
        )
        .drop_nulls("candle")
        .group_by("candle", "side")
        .agg(pl.col("high").first(), pl.col("low").first(), fills=pl.len())
        .sort("candle", "side")
    )


def busiest(trades: pl.DataFrame, symbols: Sequence[str], most: int) -> list[str]:
    """The symbols of which most was traded, in the quote currency; then the others."""
    value = trades.group_by("symbol").agg(value=(pl.col("qty") * pl.col("price")).sum())
    ranked = value.sort("value", "symbol", descending=[True, False])["symbol"].to_list()
    return [*ranked, *(one for one in symbols if one not in ranked)][:most]
