"""An order book around the last trade: made up, the same for the same trade and moment."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zlib import crc32

import numpy as np

from cq.sim.arrays import BUY, Ints
from cq.sim.listing import UNIT, Listing
from cq.utils.time import SECOND

WHOLE: Final = 1_356
"""Levels a side of a whole book."""
STEP_NS: Final = SECOND
"""How often the resting orders change where nobody trades."""
Level = tuple[Decimal, Decimal]


@dataclass(frozen=True)
class Book:
    """Price and size of each level, the best first, and when it was built."""

    bids: list[Level]
    asks: list[Level]
    timestamp_ns: int


@dataclass(frozen=True)
class BookArrays:
    """A book in ticks and units of 1e-8, the best first."""

    bid: Ints
    bid_size: Ints
    ask: Ints
    ask_size: Ints
    timestamp_ns: int


@dataclass(frozen=True)
class Around:
    """What a book is made around: the last trade and how large trades are."""

    tid: int
    ticks: int
    side: int
    typical_size: int


def book_of(listing: Listing, around: Around, seed: int, now_ns: int, depth: int) -> BookArrays:
    """`depth` levels a side: a last buy was at the best ask, a last sale at the best bid.

    Fewer levels are the first of more: the numbers are drawn level by level.
    """
    name = crc32(listing.symbol.encode())
    random = np.random.default_rng([seed, 7, name, around.tid, now_ns // STEP_NS])
    draws = -np.log1p(-random.random((depth, 4)))
    usual = max(1.0, around.ticks * 0.0001)
    gaps = 1 + (draws[:, :2] * usual).astype(np.int64)
    away = np.cumsum(gaps, axis=0) - gaps[0]
    spread = int(gaps[0, 0])
    ask = around.ticks if around.side == BUY else around.ticks + spread
    sizes = np.maximum((draws[:, 2:] * 4 * around.typical_size).astype(np.int64), 1)
    sizes = -(-sizes // listing.lot) * listing.lot
    bids, asks = ask - spread - away[:, 0], ask + away[:, 1]
    there = bids > 0
    return BookArrays(bids[there], sizes[there, 0], asks, sizes[:, 1], now_ns)


def in_decimals(listing: Listing, book: BookArrays) -> Book:
    """The same book in exact decimals."""

    def side(ticks: Ints, sizes: Ints) -> list[Level]:
        pairs = zip(ticks.tolist(), sizes.tolist(), strict=True)
        return [(listing.price(tick), Decimal(size) / UNIT) for tick, size in pairs]

    return Book(side(book.bid, book.bid_size), side(book.ask, book.ask_size), book.timestamp_ns)
