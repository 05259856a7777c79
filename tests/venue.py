"""A market made by hand, for the matching engine: a book that is told, trades in a list."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from cq.sim.arrays import TradeArrays
from cq.sim.books import Book, Level
from cq.sim.listing import Listing
from cq.utils.time import SECOND, parse_time

START = parse_time("2026-01-05")
BTC = Listing("BTC-BRL", "BTC", "BRL", Decimal(1))
USDT = Listing("BTC-USDT", "BTC", "USDT", Decimal("0.01"))


def at(seconds: float) -> int:
    """Nanoseconds of so many seconds after the start."""
    return START + int(seconds * SECOND)


def levels(*pairs: tuple[float | str, float | str]) -> list[Level]:
    return [(Decimal(str(price)), Decimal(str(size))) for price, size in pairs]


@dataclass
class Venue:
    """Prints are (seconds, price, size, taker's side 1 or -1); the book stays as it is told."""

    prints: list[tuple[float, int, str, int]] = field(default_factory=list)
    bids: list[Level] = field(default_factory=lambda: levels((99, 2), (98, 5), (90, 100)))
    asks: list[Level] = field(default_factory=lambda: levels((101, 1), (102, 3), (110, 100)))
    last: Decimal = Decimal(100)
    listings: dict[str, Listing] = field(
        default_factory=lambda: {one.symbol: one for one in (BTC, USDT)}
    )

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> TradeArrays:
        rows = [
            (at(seconds), number, price, int(Decimal(size) * 10**8), side)
            for number, (seconds, price, size, side) in enumerate(self.prints, 1)
            if start_ns <= at(seconds) < end_ns and symbol == "BTC-BRL"
        ]
        columns = np.array(rows, dtype=np.int64).reshape(-1, 5).T
        return TradeArrays(*columns)

    def book(self, symbol: str, now_ns: int, depth: int) -> Book:
        return Book(self.bids[:depth], self.asks[:depth], now_ns)

    def last_price(self, symbol: str, now_ns: int) -> Decimal:
        done = [price for seconds, price, _, _ in self.prints if at(seconds) <= now_ns]
        return Decimal(done[-1]) if done else self.last

    def price_band(self, symbol: str, now_ns: int) -> tuple[Decimal, Decimal]:
        return Decimal("47.1"), Decimal("320")
