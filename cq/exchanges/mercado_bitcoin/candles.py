"""Candles on the wire: what to ask for and what comes back; text in, rows out."""

from __future__ import annotations

import json
from typing import Any, Final

import polars as pl

from cq.exchanges.market import native
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.symbols import checked
from cq.utils.time import SECOND

PATH: Final = "/candles"

INTERVALS: Final = ("1m", "15m", "1h", "3h", "1d", "1w", "1M")
"""The documented set; others are answered in part or not at all, so they are never asked for."""

FIELDS: Final = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}

_NOT_SECONDS: Final = 10**11


def question(symbol: str, interval: str, start_ns: int, end_ns: int) -> Question[pl.DataFrame]:
    """Ask for the bars that open in [start_ns, end_ns).

    On the wire both ends are whole seconds and belong to the range.
    """
    query: dict[str, str | int] = {
        "symbol": checked(symbol),
        "resolution": native(interval, INTERVALS, "Mercado Bitcoin"),
        "from": -(-start_ns // SECOND),
        "to": (end_ns - 1) // SECOND,
    }
    return Question("candles", PATH, candles_from, query, symbol=symbol)


def candles_from(body: str | bytes) -> pl.DataFrame:
    """The rows of a reply, oldest first: ts (ns, opening time), open, high, low, close, volume.

    Numbers come as strings or as numbers, of any width; neither passes through a float before
    it is rounded once, to the nearest. A price that is no number is null, and the lake's rules
    decide about its row. Unreadable (worth another try) where the reply is no candle reply.
    """
    columns = _columns(body)
    if len({len(values) for values in columns.values()}) != 1:
        sizes = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise Unreadable(PATH, f"its arrays differ in length ({sizes})")
    rows = pl.DataFrame({name: _numbers(name, values) for name, values in columns.items()})
    if rows["t"].null_count() or (rows["t"].abs() >= _NOT_SECONDS).any():
        raise Unreadable(PATH, "its times are not in whole seconds")
    return rows.select(
        (pl.col("t") * SECOND).alias("ts"),
        *(pl.col(short).alias(name) for short, name in FIELDS.items()),
    ).sort("ts", maintain_order=True)


def _columns(body: str | bytes) -> dict[str, list[Any]]:
    try:
        said = json.loads(body, parse_float=str, parse_int=str, parse_constant=str)
    except ValueError:
        raise Unreadable(PATH, "it is not JSON") from None
    if not isinstance(said, dict) or "t" not in said:
        raise Unreadable(PATH, "it has no field t")
    columns = {name: said.get(name) or [] for name in ("t", *FIELDS)}
    for name, values in columns.items():
        if not isinstance(values, list):
            raise Unreadable(PATH, f"its field {name} is no array")
    return columns


def _numbers(name: str, values: list[Any]) -> pl.Series:
    kind = pl.Int64 if name == "t" else pl.Float64
    return pl.Series(name, values, dtype=pl.String, strict=False).cast(kind, strict=False)
