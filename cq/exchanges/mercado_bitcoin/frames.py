"""Frames of the socket as columns: bytes in, arrays out, with no socket and no clock.

Trades come in one written form, which a pattern reads a thousand at a time. Whatever is written
otherwise is read one frame at a time, to the same values, and so is what is no frame at all: a
corrupt one costs only itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import numpy as np
import polars as pl
from pydantic_core import from_json

from cq.exchanges.feed import TRADE, Decoded, Frame, Rows
from cq.exchanges.mercado_bitcoin.books import LEVELS
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE, from_wire
from cq.utils.time import SECOND

FEW: Final = 24
"""Frames that are sooner read one by one."""

_NUMBER: Final = r"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
TRADE_FORM: Final = (
    r'^\{"type":"trade","id":"([A-Z0-9]+)","ts":([1-8][0-9]{18}),'
    r'"data":\{"tid":([1-9][0-9]{0,17}),"date":([1-8][0-9]{9}),"type":"(buy|sell)",'
    rf'"price":{_NUMBER},"amount":{_NUMBER}\}}\}}$'
)

IDS: Final = range(1, 10**18)
SECONDS: Final = range(10**9, 9 * 10**9)
STAMPS: Final = range(10**18, 9 * 10**18)

NEAR: Final = 5 * SECOND
"""A trade's second lies this close to the stamp of its frame; else one of them is mangled."""

BOOKS: Final = {"ts": pl.Int64(), "bids": LEVELS, "asks": LEVELS,
                "symbol": pl.String(), "exchange": pl.String()}  # fmt: skip
DAY: Final = ("high", "low", "vol", "last", "buy", "sell", "open")
TICKERS: Final = {"ts": pl.Int64(), **dict.fromkeys(DAY, pl.Float64()),
                  "symbol": pl.String(), "exchange": pl.String()}  # fmt: skip


class _Corrupt(Exception):
    """A frame that is not what frames look like."""


@dataclass
class FrameReader:
    """Reads frames; `symbols` by their id on the socket, others are told by their quote."""

    symbols: Mapping[str, str] = field(default_factory=dict)
    name: str = EXCHANGE
    _empty_books: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BOOKS))
    _empty_tickers: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TICKERS))

    def read(self, frames: Sequence[Frame]) -> Decoded:
        """The frames in columns, each symbol's in their order."""
        if len(frames) < FEW:
            return self._one_by_one(frames)
        texts = [frame.data for frame in frames]
        if not all(map(bytes.isascii, texts)):
            texts = [one if one.isascii() else b"" for one in texts]
        found = (
            pl.Series(texts, dtype=pl.Binary)
            .cast(pl.String)
            .str.extract_groups(TRADE_FORM)
            .struct.rename_fields(["id", "ts", "tid", "date", "type", "price", "amount"])
            .struct.unnest()
        )
        size = found["amount"].cast(pl.Float64, strict=False)
        price = found["price"].cast(pl.Float64, strict=False)
        apart = found["ts"].cast(pl.Int64) - found["date"].cast(pl.Int64) * SECOND
        near = apart.is_between(-NEAR, NEAR)
        plain = (price.is_finite() & size.is_finite() & near).fill_null(value=False)
        if not plain.any():
            return self._one_by_one(frames)
        if not all(map(self._symbol, found["id"].filter(plain).unique())):
            return self._one_by_one(frames)
        if plain.all():
            return Decoded(
                self._by_symbol(found, price, size), self._empty_books, self._empty_tickers
            )
        return self._mixed(frames, found, price, size, plain)

    def _mixed(
        self,
        frames: Sequence[Frame],
        found: pl.DataFrame,
        price: pl.Series,
        size: pl.Series,
        plain: pl.Series,
    ) -> Decoded:
        """The odd frames apart, unless they hold trades: those must keep their place."""
        odd = [frames[place] for place in (~plain).arg_true().to_list()]
        rest = self._one_by_one(odd)
        if rest.trades:
            return self._one_by_one(frames)
        trades = self._by_symbol(found.filter(plain), price.filter(plain), size.filter(plain))
        return Decoded(trades, rest.books, rest.tickers, rest.corrupt, rest.notices)

    def _by_symbol(
        self, found: pl.DataFrame, price: pl.Series, size: pl.Series
    ) -> Mapping[str, Rows]:
        rows = np.empty(len(found), TRADE)
        rows["id"] = found["tid"].cast(pl.Int64).to_numpy()
        rows["ts"] = found["date"].cast(pl.Int64).to_numpy()
        rows["ts"] *= SECOND
        rows["price"], rows["size"] = price.to_numpy(), size.to_numpy()
        rows["buy"] = (found["type"] == "buy").to_numpy()
        names = found["id"].unique(maintain_order=True).to_list()
        if len(names) == 1:
            return {self._known(names[0]): rows}
        codes = found["id"].replace_strict(names, range(len(names)), return_dtype=pl.Int32)
        order = np.argsort(codes.to_numpy(), kind="stable")
        counts = np.bincount(codes.to_numpy(), minlength=len(names))
        parts = np.split(rows[order], np.cumsum(counts)[:-1])
        return {self._known(name): part for name, part in zip(names, parts, strict=True)}

    def _symbol(self, wire: str) -> str | None:
        return self.symbols.get(wire) or from_wire(wire)

    def _known(self, wire: object) -> str:
        symbol = self._symbol(wire) if isinstance(wire, str) else None
        if symbol is None:
            raise _Corrupt
        return symbol

    def _one_by_one(self, frames: Iterable[Frame]) -> Decoded:
        trades: dict[str, list[tuple[Any, ...]]] = {}
        books: list[dict[str, Any]] = []
        tickers: list[dict[str, Any]] = []
        corrupt, notices = [], []
        for frame in frames:
            try:
                said = _object(frame.data)
                match said.get("type"):
                    case "trade":
                        symbol = self._known(said.get("id"))
                        trades.setdefault(symbol, []).append(_trade(said))
                    case "orderbook":
                        books.append(self._book(said))
                    case "ticker":
                        tickers.append(self._ticker(said))
                    case "pong":
                        pass
                    case "error" | None if "message" in said or "name" in said:
                        notices.append(said)
                    case _:
                        corrupt.append(frame)
            except _Corrupt:
                corrupt.append(frame)
        return Decoded(
            {symbol: np.array(rows, TRADE) for symbol, rows in trades.items()},
            pl.DataFrame(books, schema=BOOKS) if books else self._empty_books,
            pl.DataFrame(tickers, schema=TICKERS) if tickers else self._empty_tickers,
            corrupt,
            notices,
        )

    def _book(self, said: dict[str, Any]) -> dict[str, Any]:
        data = _part(said)
        return {
            "ts": _whole(data.get("timestamp", said.get("ts")), STAMPS),
            "bids": sorted(_levels(data.get("bids")), key=lambda one: -one["price"]),
            "asks": sorted(_levels(data.get("asks")), key=lambda one: one["price"]),
            "symbol": self._known(said.get("id")),
            "exchange": self.name,
        }

    def _ticker(self, said: dict[str, Any]) -> dict[str, Any]:
        data = _part(said)
        return {
            "ts": _whole(data.get("date"), SECONDS) * SECOND,
            **{name: _number(data.get(name)) for name in DAY},
            "symbol": self._known(said.get("id")),
            "exchange": self.name,
        }


def _object(data: bytes) -> dict[str, Any]:
    try:
        said = from_json(data, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        raise _Corrupt from None
    if not isinstance(said, dict):
        raise _Corrupt
    return said


def _trade(said: dict[str, Any]) -> tuple[Any, ...]:
    """One row of TRADE; its stamp is the trade's own second, as in REST replies."""
    data = _part(said)
    side = data.get("type")
    if side not in ("buy", "sell"):
        raise _Corrupt
    made_ns = _whole(data.get("date"), SECONDS) * SECOND
    if abs(_whole(said.get("ts"), STAMPS) - made_ns) > NEAR:
        raise _Corrupt
    return (
        _whole(data.get("tid"), IDS),
        made_ns,
        _number(data.get("price")),
        _number(data.get("amount")),
        side == "buy",
    )


def _part(said: dict[str, Any]) -> dict[str, Any]:
    data = said.get("data")
    if not isinstance(data, dict):
        raise _Corrupt
    return data


def _whole(value: object, inside: range) -> int:
    if type(value) is not int or value not in inside:
        raise _Corrupt
    return value


def _number(value: object) -> float:
    """A JSON number, or one written as text, as the nearest float."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise _Corrupt from None
    if not isfinite(number) or isinstance(value, bool):
        raise _Corrupt
    return number


def _levels(pairs: object) -> list[dict[str, float]]:
    if not isinstance(pairs, list):
        raise _Corrupt
    try:
        return [{"price": _number(price), "size": _number(size)} for price, size in pairs]
    except (TypeError, ValueError):
        raise _Corrupt from None
