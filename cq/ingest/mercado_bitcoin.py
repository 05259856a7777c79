"""Mercado Bitcoin's REST replies kept as files: candles, day summaries, trades."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from cq.ingest.hints import hints_of
from cq.ingest.json_forms import column_arrays
from cq.ingest.layout import Layout, raw_table
from cq.ingest.named import table_of
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp
from cq.ingest.tables import Table, normalise


def _is_mb_candles(source: Source) -> bool:
    return (
        source.kind == "json"
        and isinstance(source.first_record, dict)
        and source.head.lstrip().startswith("{")  # an array of objects is one row each
        and set("tohlcv") <= set(source.columns)
    )


def _mb_candles(source: Source, asked: Request) -> Piece:
    hints = hints_of(source)
    raw = column_arrays(source.path, source.json, tuple("tohlcv"))
    columns = dict(zip(("ts", "open", "high", "low", "close", "volume"), "tohlcv", strict=True))
    table = Table(columns, symbol=hints.symbol, exchange="mercadobitcoin", interval=hints.interval)
    return normalise(source.path, raw, table, asked)


def _is_mb_day(source: Source) -> bool:
    return {"date", "opening", "closing", "lowest", "highest", "quantity"} <= set(source.columns)


def _mb_day(source: Source, asked: Request) -> Piece:
    value = source.json
    days = value if isinstance(value, list) else [value]
    raw = pl.DataFrame(days, infer_schema_length=None).with_columns(pl.col("date").cast(pl.String))
    table = Table(
        {"ts": "date", "open": "opening", "high": "highest", "low": "lowest", "close": "closing",
         "volume": "quantity"},
        stamp=Stamp(timezone="America/Sao_Paulo"),
        symbol=hints_of(source).symbol,
        exchange="mercadobitcoin",
        interval="1d",
    )  # fmt: skip
    return normalise(source.path, raw, table, asked)


def _is_mb_trades(source: Source) -> bool:
    return source.kind == "json" and {"tid", "date", "type", "price", "amount"} <= set(
        source.columns
    )


def _mb_trades(source: Source, asked: Request) -> Piece:
    table = replace(
        table_of(source, asked), symbol=hints_of(source).symbol, exchange="mercadobitcoin"
    )
    raw, spoiled = raw_table(source)
    return normalise(source.path, raw, replace(table, stamp=Stamp(unit="s")), asked, spoiled)


LAYOUTS = (
    Layout(
        "mercadobitcoin-candles",
        ("ohlcv",),
        'Mercado Bitcoin v4 candles: {"t": […], "o": […], …}',
        _is_mb_candles,
        _mb_candles,
    ),
    Layout(
        "mercadobitcoin-day-summary",
        ("ohlcv",),
        "Mercado Bitcoin v3 day summary: days of America/Sao_Paulo",
        _is_mb_day,
        _mb_day,
    ),
    Layout(
        "mercadobitcoin-trades",
        ("trades",),
        "Mercado Bitcoin trades, v3 or v4 JSON: date, tid, type, price, amount",
        _is_mb_trades,
        _mb_trades,
    ),
)
