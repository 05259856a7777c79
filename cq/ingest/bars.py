"""Layouts of bars in tables, each by its own maker."""

from __future__ import annotations

from dataclasses import replace

from cq.ingest.hints import EXCHANGES, exchange_of, hints_of
from cq.ingest.layout import KLINES, Layout, fields, plain, read_as
from cq.ingest.named import table_of
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.tables import Table

BARS = ("ohlcv",)

# Binance klines: 12 columns, with or without a header


def _is_klines(source: Source) -> bool:
    names = {plain(name) for name in source.columns}
    told = {"takerbuybaseassetvolume", "takerbuyvolume", "takerbuybasevolume"}
    return fields(source) == 12 or bool(names & told)


def _klines(source: Source, asked: Request) -> Piece:
    hints = hints_of(source)
    if source.columns:
        table = table_of(source, asked)
        table = replace(table, symbol=hints.symbol, exchange="binance")
    else:
        table = Table(KLINES, symbol=hints.symbol, exchange="binance", interval=hints.interval)
    return read_as(source, table, asked)


# freqtrade feather: named columns, the pair in the file's name


def _is_freqtrade(source: Source) -> bool:
    needed = {"date", "open", "high", "low", "close", "volume"}
    return source.kind == "feather" and set(source.columns) == needed


def _freqtrade(source: Source, asked: Request) -> Piece:
    hints = hints_of(source)
    table = replace(
        table_of(source, asked), symbol=hints.symbol, exchange=exchange_of(hints.folders)
    )
    return read_as(source, table, asked)


# CoinMarketCap: High, Low, Open, Close; a day a row; the base alone as symbol


def _is_cmc(source: Source) -> bool:
    return {"SNo", "Symbol", "Date", "High", "Low", "Open", "Close", "Marketcap"} <= set(
        source.columns
    )


def _cmc(source: Source, asked: Request) -> Piece:
    table = table_of(source, asked)
    table = replace(table, exchange="coinmarketcap", interval="1d", default_quote="USD")
    return read_as(source, table, asked).noting("volume is in USD")


# CryptoDataDownload: a banner, newest first, two volumes


def _is_cdd(source: Source) -> bool:
    return source.kind == "delimited" and "cryptodatadownload.com" in source.head[:200].lower()


def _cdd(source: Source, asked: Request) -> Piece:
    table = table_of(source, asked)
    exchange = hints_of(source).first_word.lower()
    table = replace(table, exchange=exchange if exchange in EXCHANGES else None)
    return read_as(source, table, asked).noting(f"volume from {table.columns['volume']}")


LAYOUTS = (
    Layout(
        "binance-klines",
        BARS,
        "Binance klines: 12 columns with or without a header, or its API's JSON",
        _is_klines,
        _klines,
    ),
    Layout(
        "cryptodatadownload",
        BARS,
        "CryptoDataDownload CSV: banner, header, newest first; the base's volume is taken",
        _is_cdd,
        _cdd,
    ),
    Layout(
        "coinmarketcap",
        BARS,
        "CoinMarketCap CSV: daily, the symbol is the base, prices and volume in USD",
        _is_cmc,
        _cmc,
    ),
    Layout(
        "freqtrade-feather",
        BARS,
        "freqtrade feather: date, open, high, low, close, volume",
        _is_freqtrade,
        _freqtrade,
    ),
)
