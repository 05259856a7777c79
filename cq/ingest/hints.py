"""What a file's name and folder say about what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from cq.ingest.source import Source
from cq.ingest.symbols import in_name, normalised

_INTERVAL = re.compile(
    r"(?<![A-Za-z0-9])(\d{1,3}(?:min|[mhdw])|1M|d|daily|hour|minute)(?![A-Za-z0-9])"
)
EXCHANGES = (
    "binance",
    "bitfinex",
    "bitstamp",
    "bybit",
    "coinbase",
    "gemini",
    "kraken",
    "kucoin",
    "mercadobitcoin",
    "okx",
    "poloniex",
)
_WORDS = {"d": "1d", "daily": "1d", "hour": "1h", "minute": "1m"}


@dataclass(frozen=True)
class Hints:
    """Symbol and interval in a name; `leading_symbol` is one that the name begins with."""

    symbol: str | None = None
    leading_symbol: str | None = None
    interval: str | None = None
    folder_symbol: str | None = None
    first_word: str = ""
    folders: tuple[str, ...] = ()


def hints_of(source: Source) -> Hints:
    """The hints in the name of a file (of the zip, where its member says nothing)."""
    hints = hints_in(source.path)
    return hints if source.name == source.path.name or hints.symbol else _merged(source, hints)


def _merged(source: Source, outer: Hints) -> Hints:
    inner = hints_in(source.path.parent / source.name)
    return Hints(
        inner.symbol or outer.symbol,
        inner.leading_symbol or outer.leading_symbol,
        outer.interval or inner.interval,
        outer.folder_symbol,
        outer.first_word,
        outer.folders,
    )


def hints_in(path: PurePath) -> Hints:
    """The hints in `path`: `Coinbase_BTCUSD_1h.csv`, `BTC_USDT-1d.json`, `BTCUSD/18-01-01.json`."""
    stem = path.name.lstrip(".").split(".")[0]
    symbol = in_name(stem)
    leading = symbol is not None and re.sub(r"[-_]", "", stem).startswith(symbol.replace("-", ""))
    found = _INTERVAL.search(stem)
    interval = _WORDS.get(found[1], found[1].replace("min", "m")) if found else None
    folder = path.parent.name
    return Hints(
        symbol=symbol,
        leading_symbol=symbol if leading else None,
        interval=interval,
        folder_symbol=normalised(folder) if folder.isupper() else None,
        first_word=re.split(r"[_\-]", stem)[0],
        folders=tuple(path.parts[:-1]),
    )


def exchange_of(folders: tuple[str, ...]) -> str | None:
    """An exchange that one of the last folders is named after: `data/binance/BTC_USDT-1h.json`."""
    return next((name for name in reversed(folders[-3:]) if name in EXCHANGES), None)
