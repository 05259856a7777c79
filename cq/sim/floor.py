"""The trading floor: what happens to orders at one moment, with every movement of money."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from cq.sim import liquidity
from cq.sim.accounts import Account, Ledger
from cq.sim.books import Level
from cq.sim.fees import FIAT, FREE, Rates, rates_of
from cq.sim.liquidity import Market, Print, Taken
from cq.sim.listing import Listing
from cq.sim.money import ZERO, lot_of
from cq.sim.orders import Execution, Liquidity, Order, Status
from cq.sim.trading_switches import TradingSwitches
from cq.utils.time import HOUR

DEPTHS: Final = (40, 1000)
"""Levels that are looked at: few, which do for nearly every order, then as many as there may be."""
Enough = Callable[[list[Level]], bool]


@dataclass
class Floor:
    """Orders and accounts at `now_ns`; whoever calls has moved the time and set exact decimals."""

    market: Market
    switches: TradingSwitches
    ledger: Ledger
    now_ns: int
    orders: dict[str, Order] = field(default_factory=dict)
    """Every order by its id, oldest first."""
    open: defaultdict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """Symbol → ids of the orders that work."""
    _taken: Taken = field(default_factory=Taken)

    def rates(self, account: Account, listing: Listing) -> Rates:
        """What the account pays on a market now."""
        free_ns = self.switches.new_account_free_hours * HOUR
        if self.now_ns < account.opened_ns + free_ns:
            return FREE
        return rates_of(account.volume.tier, listing.quote)

    def levels(self, symbol: str, asks: bool, enough: Enough = bool) -> list[Level]:
        """What is left to take on one side of the book, the best price first, as deep as needed."""

        def do(shown: list[Level]) -> bool:
            return enough(self._taken.left(symbol, asks, shown))

        return self._taken.left(symbol, asks, self._shown(symbol, asks, do))

    def put(self, order: Order) -> Order:
        """Keep the newest form of an order."""
        self.orders[order.id] = order
        if order.status is Status.WORKING:
            self.open[order.symbol][order.id] = None
        else:
            self.open[order.symbol].pop(order.id, None)
        return order

    def process(self, order_id: str) -> None:
        """Let a created order begin to work."""
        order = self.put(self.orders[order_id].after("processed", self.now_ns))
        last = self.market.last_price(order.symbol, self.now_ns)
        if order.waits and (not last or not liquidity.stops(order, last)):
            return
        self.enter(self.put(replace(order, waits=False)))

    def end(self, order: Order) -> None:
        """Cancel what is left of an order."""
        self._keep(order.after("cancelled", self.now_ns), ZERO)

    def working(self, symbol: str) -> list[Order]:
        """Open orders, the best price first, then the oldest."""

        def rank(order: Order) -> tuple[bool, Decimal, int]:
            limit = order.ask.limit_price or ZERO
            return (order.buys, -limit if order.buys else limit, order.number)

        return sorted((self.orders[one] for one in self.open[symbol]), key=rank)

    def reached(self, symbol: str, one: Print) -> bool:
        """Let one trade fill resting orders and set off stops; True where a stop was set off."""
        used = ZERO
        orders = self.working(symbol)
        for order in orders:
            if not order.waits:
                qty, ahead = liquidity.share(order, one, used, self.switches.resting_fill)
                if ahead != order.ahead:
                    order = self.put(replace(order, ahead=ahead))
                if qty:
                    used += qty
                    self._fill(order, order.ask.limit_price or ZERO, qty, "maker")
        off = [order for order in orders if order.waits and liquidity.stops(order, one.price)]
        for order in sorted(off, key=lambda order: order.number):
            self.enter(self.put(replace(order, waits=False)))
        return bool(off)

    def enter(self, order: Order) -> None:
        """Take what the book has at the order's price; let the rest of a limit order rest."""
        levels = self.levels(order.symbol, order.buys, lambda some: _suffice(order, some))
        crosses = bool(levels) and liquidity.crosses(order, levels[0][0])
        if crosses and order.ask.type == "post-only":
            self.end(order)
            return
        if crosses:
            self._take(order, levels)
        order = self.orders[order.id]
        if order.status is Status.WORKING:
            if order.limit is None:
                self.end(order)
            else:
                self.put(replace(order, ahead=self._ahead(order)))

    def _take(self, order: Order, levels: list[Level]) -> None:
        """Fill from the book, level by level.

        The size of a market buy by cost is what the money buys.
        """
        listing = self.market.listings[order.symbol]
        budget = None
        if order.buys and order.limit is None:
            free = self.ledger.accounts[order.account].purse(listing.quote).available
            budget = order.held + (free if order.qty else ZERO)
        parts = liquidity.parts(order, levels, budget, lot_of(listing.quantity_decimals))
        if not order.qty and parts:
            order = self.put(replace(order, qty=sum((qty for _, qty in parts), ZERO)))
        shown = dict(self._shown(order.symbol, order.buys, lambda some: parts[-1][0] in dict(some)))
        for price, qty in parts:
            self._taken.take(order.symbol, order.buys, (price, shown[price]), qty)
            self._fill(self.orders[order.id], price, qty, "taker")

    def _fill(self, order: Order, price: Decimal, qty: Decimal, role: Liquidity) -> None:
        """Move the money of one fill."""
        account = self.ledger.accounts[order.account]
        listing = self.market.listings[order.symbol]
        rate = self.rates(account, listing).of(role)
        value = order.value_of(price, qty)
        fee = order.fee_of(qty if order.buys else value, rate, self.switches.fee_rounding)
        gives, paid = (listing.quote, value) if order.buys else (listing.base, qty)
        gets, got = (listing.base, qty) if order.buys else (listing.quote, value)
        if paid > order.held:  # a market order whose book has moved since it was placed
            account.hold(gives, paid - order.held)
            order = replace(order, held=paid)
        self.ledger.pay(account, gives, paid)
        self.ledger.receive(account, gets, got, fee)
        if listing.quote == FIAT:
            account.volume.add(self.now_ns, value)
        name = f"{order.number}{len(order.executions) + 1:04d}"
        fill = Execution(name, price, qty, value, fee, rate, role, self.now_ns)
        order = replace(order.with_fill(fill), held=order.held - paid)
        self._keep(order, order.held if order.limit is None else order.need())

    def _keep(self, order: Order, held: Decimal) -> None:
        """Release what an order needs no more."""
        held = held if order.is_open else ZERO
        listing = self.market.listings[order.symbol]
        asset = listing.quote if order.buys else listing.base
        self.ledger.accounts[order.account].release(asset, order.held - held)
        self.put(replace(order, held=held))

    def _ahead(self, order: Order) -> Decimal:
        """The size that the book shows at the order's own price, which was there before it."""
        limit = order.ask.limit_price or ZERO

        def reaches(some: list[Level]) -> bool:
            worst = some[-1][0] if some else limit
            return worst <= limit if order.buys else worst >= limit

        return dict(self._shown(order.symbol, not order.buys, reaches)).get(limit, ZERO)

    def _shown(self, symbol: str, asks: bool, enough: Enough) -> list[Level]:
        side: list[Level] = []
        for depth in DEPTHS:
            book = self.market.book(symbol, self.now_ns, depth)
            side = book.asks if asks else book.bids
            if len(side) < depth or enough(side):
                break
        return side


def _suffice(order: Order, levels: list[Level]) -> bool:
    """Whether more levels would change nothing for an order that takes them."""
    if not levels:
        return False
    if not liquidity.crosses(order, levels[-1][0]):
        return True
    if order.qty:
        return liquidity.size_of(levels) >= order.left
    return sum((price * size for price, size in levels), ZERO) > order.held
