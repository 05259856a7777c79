"""LEAN's trade bars: a headerless CSV in a zip, told by its name."""

from __future__ import annotations

import re

from cq.errors import UnknownLayout
from cq.ingest.hints import EXCHANGES
from cq.ingest.layout import KLINES, Layout, fields, read_as
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp
from cq.ingest.symbols import normalised
from cq.ingest.tables import Table
from cq.utils.time import parse_time


def _is_lean(source: Source) -> bool:
    zipped = source.name != source.path.name and source.path.suffix == ".zip"
    return (
        zipped and fields(source) == 6 and ("_trade" in source.path.stem or "_trade" in source.name)
    )


def _lean(source: Source, asked: Request) -> Piece:
    stems = f"{source.path.stem.lower()}_{source.name.split('.')[0].lower()}"
    words = stems.split("_")
    day = next((word for word in words if re.fullmatch(r"(19|20)\d{6}", word)), None)
    resolution = next((word for word in words if word in _LEAN_INTERVALS), None)
    folders = [part.lower() for part in source.path.parts[:-1]]
    resolution = resolution or next(
        (part for part in reversed(folders) if part in _LEAN_INTERVALS), None
    )
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
    return None if word in _LEAN_INTERVALS or word in ("trade", *EXCHANGES) else normalised(word)


def _lean_stamp(source: Source, day: str | None) -> Stamp:
    if " " in source.shape.first_row.split(",")[0]:
        return Stamp(pattern="%Y%m%d %H:%M", timezone="UTC")
    if day is None:
        raise UnknownLayout(
            source.path,
            "counts from midnight but no name holds its day; expected YYYYMMDD_…_trade.zip",
        )
    return Stamp(unit="ms", day_ns=parse_time(f"{day[:4]}-{day[4:6]}-{day[6:]}"))


LAYOUTS = (
    Layout(
        "lean",
        ("ohlcv",),
        "LEAN trade zips: YYYYMMDD HH:MM, or ms since midnight of the day in the name",
        _is_lean,
        _lean,
    ),
)
