"""Bars in six columns without names: their order is told by what a bar is, never guessed."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from cq.errors import UnknownLayout
from cq.ingest.decimals import with_point
from cq.ingest.hints import exchange_of, hints_of
from cq.ingest.layout import (
    KLINES,
    Layout,
    by_position,
    decimal_in,
    fields,
    raw_table,
    read_as,
    with_decimal,
)
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.tables import Table

BARS = ("ohlcv",)
ORDERS = {"ohlc": KLINES, "bitfinex": by_position("ts open close high low volume")}


def order_of(path: object, raw: pl.DataFrame) -> str:
    """`ohlc`, `bitfinex` (open, close, high, low) or `flat`: what the whole file agrees with.

    A bar that is not flat can agree with one of them only; rows that agree with neither are taken
    as broken bars as long as they are few. UnknownLayout where the bars do not decide.
    """
    numbers = raw.select(pl.nth(1, 2, 3, 4).cast(pl.Float64, strict=False)).drop_nulls()
    numbers.columns = ["a", "b", "c", "d"]
    flat = (
        (pl.col("a") == pl.col("b")) & (pl.col("a") == pl.col("c")) & (pl.col("a") == pl.col("d"))
    )
    votes = numbers.filter(~flat).select(
        ohlc=_agree("a", "b", "c", "d").sum(),
        bitfinex=_agree("a", "c", "d", "b").sum(),
        bars=pl.len(),
    )
    ohlc, bitfinex, bars = (int(vote) for vote in votes.row(0))
    if bars == 0:
        return "flat"
    name, most = max((("ohlc", ohlc), ("bitfinex", bitfinex)), key=lambda one: one[1])
    if most < 0.98 * bars or (min(ohlc, bitfinex) > 0.01 * bars):
        raise UnknownLayout(
            str(path),
            f"has six columns without names, and its {bars:,} bars do not tell their order: "
            f"{ohlc:,} agree with open, high, low, close and {bitfinex:,} with open, close, high, "
            "low; say it with --mapping FILE or force --layout ohlc or bitfinex",
        )
    return name


def _agree(opened: str, high: str, low: str, close: str) -> pl.Expr:
    return (pl.max_horizontal(opened, low, close) <= pl.col(high)) & (
        pl.min_horizontal(opened, high, close) >= pl.col(low)
    )


def _six(source: Source) -> bool:
    return fields(source) == 6


def _by_consistency(source: Source, asked: Request) -> Piece:
    raw, spoiled = raw_table(source)
    numbers = raw
    table = _six_table(source, "ohlc")
    if decimal_in(source, raw, table, "ohlcv") == ",":
        numbers = raw.with_columns(with_point(pl.all()))
    order = order_of(source.path, numbers)
    name = "ohlc" if order == "flat" else order
    said = {
        "ohlc": "columns told by the bars: ts, open, high, low, close, volume",
        "bitfinex": "columns told by the bars: ts, open, close, high, low, volume (Bitfinex)",
        "flat": "every bar is flat, so the order of its prices makes no difference",
    }[order]
    piece = with_decimal(source, raw, _six_table(source, name), asked, spoiled)
    if order == "ohlc" and source.kind == "json":
        name = "freqtrade"
    return replace(piece, layout=name).noting(said)


def _six_table(source: Source, name: str) -> Table:
    hints = hints_of(source)
    symbol = hints.symbol or (hints.folder_symbol if name == "bitfinex" else None)
    exchange = "bitfinex" if name == "bitfinex" else exchange_of(hints.folders)
    return Table(ORDERS[name], symbol=symbol, exchange=exchange, interval=hints.interval)


def _forced(name: str) -> Layout:
    def read(source: Source, asked: Request) -> Piece:
        return read_as(source, _six_table(source, name), asked)

    words = {
        "ohlc": "ts, open, high, low, close, volume",
        "bitfinex": "ts, open, CLOSE, HIGH, LOW, volume",
    }
    return Layout(
        name, BARS, f"six columns without names (CSV or JSON): {words[name]}", lambda _: False, read
    )


LAYOUTS = (
    Layout(
        "six-columns",
        BARS,
        "six columns without names (CSV, freqtrade or Bitfinex JSON): order told by the bars",
        _six,
        _by_consistency,
    ),
    _forced("ohlc"),
    _forced("bitfinex"),
)
