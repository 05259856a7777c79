"""What an order meets: the sizes that the book shows, and the trades that reach a resting order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

import numpy as np

from cq.sim.arrays import BUY, SELL, Ints, TradeArrays
from cq.sim.books import Book, Level
from cq.sim.listing import UNIT, Listing
from cq.sim.money import ZERO, rounded
from cq.sim.orders import Order


class Market(Protocol):
    """The market that accounts trade with; `Tape` is one."""

    @property
    def listings(self) -> Mapping[str, Listing]:
        """What is traded."""
        ...

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> TradeArrays:
        """The trades with start ≤ ts < end, oldest first."""
        ...

    def book(self, symbol: str, now_ns: int, depth: int) -> Book:
        """The resting orders of others."""
        ...

    def last_price(self, symbol: str, now_ns: int) -> Decimal:
        """The price of the newest trade, 0 where there is none."""
        ...

    def price_band(self, symbol: str, now_ns: int) -> tuple[Decimal, Decimal]:
        """The lowest and the highest limit price that is taken."""
        ...


@dataclass
class Taken:
    """What accounts have bought and sold out of the book that is shown.

    A level is whole again once the book shows another size at its price.
    """

    _levels: dict[tuple[str, bool, Decimal], tuple[Decimal, Decimal]] = field(default_factory=dict)

    def left(self, symbol: str, asks: bool, levels: Iterable[Level]) -> list[Level]:
        """The levels less what was taken from them."""
        found = []
        for price, size in levels:
            shown, taken = self._levels.get((symbol, asks, price), (size, ZERO))
            rest = size - taken if shown == size else size
            if rest > 0:
                found.append((price, rest))
        return found

    def take(self, symbol: str, asks: bool, level: Level, qty: Decimal) -> None:
        """Note that `qty` was taken from a level that the book shows with its whole size."""
        price, size = level
        shown, taken = self._levels.get((symbol, asks, price), (size, ZERO))
        self._levels[symbol, asks, price] = (size, (taken if shown == size else ZERO) + qty)


def crosses(order: Order, price: Decimal) -> bool:
    """Whether the order takes this price; a market order takes any."""
    if order.limit is None:
        return True
    return price <= order.limit if order.buys else price >= order.limit


def size_of(levels: Iterable[Level]) -> Decimal:
    """All that a side of the book offers."""
    return sum((size for _, size in levels), ZERO)


def sweep(levels: Sequence[Level], qty: Decimal) -> Decimal:
    """What `qty` costs in the book, as far as the book goes."""
    cost = Decimal(0)
    for price, size in levels:
        part = min(size, qty)
        cost, qty = cost + price * part, qty - part
    return rounded(cost, "up")


def parts(
    order: Order, levels: Iterable[Level], budget: Decimal | None, lot: Decimal
) -> list[Level]:
    """Price and size of each fill of an order that takes the book, the best price first.

    `budget` is the quote that a market buy may spend; `order.left` of 0 means as much as it buys.
    """
    found, spent, left = [], Decimal(0), order.left
    for price, size in levels:
        if not crosses(order, price):
            break
        qty = min(size, left) if order.qty else size
        if budget is not None:
            qty = min(qty, rounded((budget - spent) / price, "down", lot))
        if qty <= 0:
            break
        found.append((price, qty))
        spent, left = spent + price * qty, left - qty
    return found


@dataclass(frozen=True)
class Print:
    """One trade of the market."""

    ts_ns: int
    price: Decimal
    size: Decimal
    side: int


def share(
    order: Order, one: Print, used: Decimal, how: Literal["queue", "touch", "through"]
) -> tuple[Decimal, Decimal]:
    """(size that a resting order gets of a trade, size still ahead of it).

    `used` is what other orders have got of the same trade: no more is filled than was traded.
    """
    limit = order.ask.limit_price
    assert limit is not None
    if not crosses(order, one.price):
        return ZERO, order.ahead
    gone_through = one.price != limit
    if gone_through or how == "touch":
        return max(min(order.left, one.size - used), ZERO), ZERO
    if how == "through" or one.side != (SELL if order.buys else BUY):
        return ZERO, order.ahead
    waited = min(order.ahead, one.size)
    got = min(order.left, one.size - waited, one.size - used)
    return max(got, ZERO), order.ahead - waited


def stops(order: Order, price: Decimal) -> bool:
    """Whether a trade at `price` sets off a stop order."""
    stop = order.ask.stop_price
    assert stop is not None
    return price >= stop if order.buys else price <= stop


def reaching(trades: TradeArrays, orders: Iterable[Order], listing: Listing) -> Ints:
    """The rows of `trades` that may fill or set off one of the orders."""
    falls: list[int] = []
    rises: list[int] = []
    for order in orders:
        price = order.ask.stop_price if order.waits else order.ask.limit_price
        assert price is not None
        (falls if order.buys != order.waits else rises).append(listing.ticks(price))
    hit = np.zeros(len(trades), dtype=np.bool_)
    if falls:
        hit |= trades.price <= max(falls)
    if rises:
        hit |= trades.price >= min(rises)
    return np.flatnonzero(hit)


def print_of(trades: TradeArrays, row: int, listing: Listing) -> Print:
    """One trade in exact decimals."""
    return Print(
        int(trades.ts[row]),
        listing.price(int(trades.price[row])),
        Decimal(int(trades.size[row])) / UNIT,
        int(trades.side[row]),
    )
