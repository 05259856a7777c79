"""Layouts of bars."""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl

from cq.errors import UnknownLayout
from cq.ingest.hints import hints_of
from cq.ingest.json_forms import column_arrays
from cq.ingest.layout import Layout, fields, plain, raw_table, read_as
from cq.ingest.named import table_of
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp
from cq.ingest.tables import Table, normalise
from cq.utils.time import to_ns

BARS = ("ohlcv",)
EXCHANGES = ("binance", "bitfinex", "bitstamp", "bybit", "coinbase", "gemini", "kraken", "kucoin",
             "mercadobitcoin", "okx", "poloniex")  # fmt: skip


def by_position(names: str) -> dict[str, str]:
    """`ts open high` as columns 1, 2, 3."""
    return {name: f"column_{place}" for place, name in enumerate(names.split(), 1) if name != "-"}


KLINES = by_position("ts open high low close volume")
ORDERS = {
    "ohlc": KLINES,
    "bitfinex": by_position("ts open close high low volume"),
}


# Binance klines: 12 columns, with or without a header


def _is_klines(source: Source) -> bool:
    names = {plain(name) for name in source.columns}
    told = {"takerbuybaseassetvolume", "takerbuyvolume", "takerbuybasevolume"}
    return fields(source) == 12 or bool(names & told)


def _klines(source: Source, asked: Request) -> Piece:
    hints = hints_of(source)
    if source.columns:
        table = table_of(source, "ohlcv")
        table = replace(table, symbol=hints.symbol, exchange="binance")
    else:
        table = Table(KLINES, symbol=hints.symbol, exchange="binance", interval=hints.interval)
    return read_as(source, table, asked)


# six columns without names: told apart by what a bar is


def order_of(path: object, raw: pl.DataFrame) -> str:
    """`ohlc` or `bitfinex` (open, close, high, low), by which the bars of the whole file agree with.

    A bar that is not flat can agree with one of them only; rows that agree with neither are taken
    as broken bars as long as they are few. UnknownLayout where the bars do not decide.
    """
    numbers = raw.select(pl.nth(1, 2, 3, 4).cast(pl.Float64, strict=False)).drop_nulls()
    numbers.columns = ["a", "b", "c", "d"]
    flat = (pl.col("a") == pl.col("b")) & (pl.col("a") == pl.col("c")) & (pl.col("a") == pl.col("d"))
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
    order = order_of(source.path, raw)
    name = "ohlc" if order == "flat" else order
    said = {
        "ohlc": "columns read as ts, open, high, low, close, volume (every bar agrees)",
        "bitfinex": "columns read as ts, open, close, high, low, volume (Bitfinex's order)",
        "flat": "every bar is flat, so the order of its prices makes no difference",
    }[order]
    piece = normalise(source.path, raw, _six_table(source, name), asked, spoiled)
    if order == "ohlc" and source.kind == "json":
        name = "freqtrade"
    return replace(piece, layout=name).noting(said)


def _six_table(source: Source, name: str) -> Table:
    hints = hints_of(source)
    symbol = hints.symbol or (hints.folder_symbol if name == "bitfinex" else None)
    exchange = "bitfinex" if name == "bitfinex" else _exchange_of(hints.folders)
    return Table(ORDERS[name], symbol=symbol, exchange=exchange, interval=hints.interval)


def _exchange_of(folders: tuple[str, ...]) -> str | None:
    """An exchange that the last folders are named after, as in `data/binance/BTC_USDT-1h.json`."""
    return next((name for name in reversed(folders[-3:]) if name in EXCHANGES), None)


def _forced(name: str) -> Layout:
    def read(source: Source, asked: Request) -> Piece:
        return read_as(source, _six_table(source, name), asked)

    words = {"ohlc": "ts, open, high, low, close, volume", "bitfinex": "ts, open, CLOSE, HIGH, LOW, volume"}
    return Layout(name, BARS, f"six columns without names (CSV or JSON): {words[name]}", _never, read)


def _never(source: Source) -> bool:
    return False


# freqtrade feather: named columns, the pair in the file's name


def _is_freqtrade(source: Source) -> bool:
    needed = {"date", "open", "high", "low", "close", "volume"}
    return source.kind == "feather" and set(source.columns) == needed


def _freqtrade(source: Source, asked: Request) -> Piece:
    hints = hints_of(source)
    table = replace(
        table_of(source, "ohlcv"), symbol=hints.symbol, exchange=_exchange_of(hints.folders)
    )
    return read_as(source, table, asked)


# CoinMarketCap: High, Low, Open, Close; a day a row; the base alone as symbol


def _is_cmc(source: Source) -> bool:
    return {"SNo", "Symbol", "Date", "High", "Low", "Open", "Close", "Marketcap"} <= set(source.columns)


def _cmc(source: Source, asked: Request) -> Piece:
    table = table_of(source, "ohlcv")
    table = replace(table, exchange="coinmarketcap", interval="1d", default_quote="USD")
    return read_as(source, table, asked).noting("volume is in USD")


# CryptoDataDownload: a banner, newest first, two volumes


def _is_cdd(source: Source) -> bool:
    return source.kind == "delimited" and "cryptodatadownload.com" in source.head[:200].lower()


def _cdd(source: Source, asked: Request) -> Piece:
    table = table_of(source, "ohlcv")
    exchange = hints_of(source).first_word.lower()
    table = replace(table, exchange=exchange if exchange in EXCHANGES else None)
    return read_as(source, table, asked).noting(f"volume from {table.columns['volume']}")


# LEAN: headerless CSV in a zip


def _is_lean(source: Source) -> bool:
    zipped = source.name != source.path.name and source.path.suffix == ".zip"
    return zipped and fields(source) == 6 and ("_trade" in source.path.stem or "_trade" in source.name)


def _lean(source: Source, asked: Request) -> Piece:
    stems = f"{source.path.stem.lower()}_{source.name.split('.')[0].lower()}"
    words = stems.split("_")
    day = next((word for word in words if re.fullmatch(r"(19|20)\d{6}", word)), None)
    resolution = next((word for word in words if word in _LEAN_INTERVALS), None)
    folders = [part.lower() for part in source.path.parts[:-1]]
    resolution = resolution or next((part for part in reversed(folders) if part in _LEAN_INTERVALS), None)
    market = next((word for word in (*words, *reversed(folders[-4:])) if word in EXCHANGES), None)
    symbol = next((found for word in words if (found := _lean_symbol(word))), None)
    table = Table(
        KLINES,
        stamp=_lean_stamp(source, day),
        symbol=symbol,
        exchange=market,
        interval=_LEAN_INTERVALS.get(resolution or ""),
    )
    return read_as(source, table, asked)


_LEAN_INTERVALS = {"minute": "1m", "hour": "1h", "daily": "1d"}


def _lean_symbol(word: str) -> str | None:
    from cq.ingest.symbols import normalised

    return None if word in _LEAN_INTERVALS or word in ("trade", *EXCHANGES) else normalised(word)


def _lean_stamp(source: Source, day: str | None) -> Stamp:
    if " " in source.shape.first_row.split(",")[0]:
        return Stamp(pattern="%Y%m%d %H:%M", timezone="UTC")
    if day is None:
        raise UnknownLayout(
            source.path, "counts from midnight but no name holds its day; expected YYYYMMDD_…_trade.zip"
        )
    from datetime import datetime

    return Stamp(unit="ms", day_ns=to_ns(datetime.strptime(day, "%Y%m%d")))  # noqa: DTZ007


# Mercado Bitcoin


def _is_mb_candles(source: Source) -> bool:
    return source.kind == "json" and isinstance(source.first_record, dict) and set("tohlcv") <= set(source.columns)


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


LAYOUTS = (
    Layout("binance-klines", BARS, "Binance klines: 12 columns with or without a header, or its API's JSON", _is_klines, _klines),
    Layout("cryptodatadownload", BARS, "CryptoDataDownload CSV: banner, header, newest first; volume of the base", _is_cdd, _cdd),
    Layout("coinmarketcap", BARS, "CoinMarketCap CSV: daily, symbol is the base, prices and volume in USD", _is_cmc, _cmc),
    Layout("lean", BARS, "LEAN trade zips: YYYYMMDD HH:MM, or ms since midnight of the day in the name", _is_lean, _lean),
    Layout("freqtrade-feather", BARS, "freqtrade feather: date, open, high, low, close, volume", _is_freqtrade, _freqtrade),
    Layout("six-columns", BARS, "six columns without names (CSV, freqtrade or Bitfinex JSON): order told by the bars", _six, _by_consistency),
    _forced("ohlc"),
    _forced("bitfinex"),
    Layout("mercadobitcoin-candles", BARS, 'Mercado Bitcoin v4 candles: {"t": […], "o": […], …}', _is_mb_candles, _mb_candles),
    Layout("mercadobitcoin-day-summary", BARS, "Mercado Bitcoin v3 day summary: days of America/Sao_Paulo", _is_mb_day, _mb_day),
)  # fmt: skip
