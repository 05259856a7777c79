"""The matching engine: orders of accounts against the tape, in exact money and exchange time.

Accounts trade with the market of the tape only, never with each other, and leave no mark on it.
Nothing here reads a clock. Looking often or seldom gives the same fills.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from heapq import heappop, heappush
from typing import Final

from cq.sim import checks, liquidity, refusals
from cq.sim.accounts import Account, Ledger
from cq.sim.fees import Rates, next_refresh_ns
from cq.sim.floor import Floor
from cq.sim.liquidity import Market
from cq.sim.listing import Listing
from cq.sim.money import EXACT, ZERO
from cq.sim.orders import Ask, Ids, Order, Status
from cq.sim.trading_switches import TradingSwitches

MS: Final = 1_000_000


@dataclass
class Matching:
    """Accounts and orders on a market, from `start_ns` on."""

    market: Market
    start_ns: int
    switches: TradingSwitches = field(default_factory=TradingSwitches)
    seed: int = 0
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self._floor = Floor(self.market, self.switches, self.ledger, self.start_ns)
        self._ids = Ids(self.seed)
        self._numbers: dict[str, str] = {}
        self._events: list[tuple[int, int, str, str]] = []
        self._planned = 0
        self._plan(next_refresh_ns(self.start_ns), "refresh")

    @property
    def now_ns(self) -> int:
        """Until when everything has happened."""
        return self._floor.now_ns

    @property
    def orders(self) -> dict[str, Order]:
        """Every order by its id, oldest first."""
        return self._floor.orders

    def place(self, account: Account, symbol: str, ask: Ask, now_ns: int) -> Order:
        """Take an order; a Refusal where a check fails."""
        with localcontext(EXACT):
            self._advance(now_ns)
            listing = self.market.listings.get(symbol)
            if listing is None:
                raise refusals.place(*refusals.PAIR)
            checks.check_kind(ask, self.switches)
            terms = self._terms(account, listing, ask)
            checks.check_terms(ask, terms, self.switches)
            self._check_switched(account, symbol, ask)
            order = self._created(account, listing, ask, checks.needed(ask, terms))
            if ask.asynchronous and self.switches.async_delay_ms:
                self._plan(self.now_ns + self.switches.async_delay_ms * MS, "process", order.id)
            else:
                self._floor.process(order.id)
            return self.orders[order.id]

    def cancel(self, order: Order, now_ns: int, asynchronous: bool = True) -> Order:
        """Cancel an order, soon or at once; one that is cancelled already stays so."""
        with localcontext(EXACT):
            self._advance(now_ns)
            order = self.orders[order.id]
            if order.status in (Status.CREATED, Status.FILLED):
                raise refusals.not_cancellable()
            if order.status is Status.WORKING:
                delay_ns = self.switches.cancel_delay_ms * MS if asynchronous else 0
                if not delay_ns:
                    self._floor.end(order)
                elif not order.cancelling:
                    self._floor.put(replace(order, cancelling=True))
                    self._plan(self.now_ns + delay_ns, "cancel", order.id)
            return self.orders[order.id]

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens until now."""
        with localcontext(EXACT):
            self._advance(now_ns)

    def find(self, account: Account, symbol: str, key: str) -> Order | None:
        """The order with this id or platform number; None where the account has no such order."""
        order = self.orders.get(self._numbers.get(key, key))
        if order is None or (order.account, order.symbol) != (account.id, symbol):
            return None
        return order if self._is_shown(order) else None

    def newest_first(self, account: Account) -> Iterable[Order]:
        """The orders of an account."""
        mine = (one for one in reversed(self.orders.values()) if one.account == account.id)
        return (one for one in mine if self._is_shown(one))

    def rates(self, account: Account, listing: Listing) -> Rates:
        """What the account pays on a market now."""
        return self._floor.rates(account, listing)

    def _is_shown(self, order: Order) -> bool:
        """Whether the exchange admits that the order exists."""
        return self.now_ns >= order.created_ns + self.switches.new_order_hidden_ms * MS

    def _terms(self, account: Account, listing: Listing, ask: Ask) -> checks.Terms:
        symbol, now_ns = listing.symbol, self.now_ns
        sweep = ZERO
        if ask.type == "market" and ask.side == "buy" and ask.qty is not None:
            qty = ask.qty
            found = self._floor.levels(symbol, True, lambda some: liquidity.size_of(some) >= qty)
            sweep = liquidity.sweep(found, qty)
        return checks.Terms(
            listing,
            self.market.price_band(symbol, now_ns),
            self.market.last_price(symbol, now_ns),
            account.purse(listing.quote if ask.side == "buy" else listing.base).available,
            sweep,
        )

    def _check_switched(self, account: Account, symbol: str, ask: Ask) -> None:
        """Refusals that only some settings of the switches know."""
        refuses = self.switches.duplicate_external_id == "refused"
        if refuses and ask.external_id is not None:
            mine = (one for one in self.orders.values() if one.account == account.id)
            if any(one.ask.external_id == ask.external_id for one in mine):
                raise refusals.place(*refusals.DUPLICATE)
        if ask.type == "post-only" and self.switches.post_only_crossing == "rejected":
            levels = self._floor.levels(symbol, asks=ask.side == "buy")
            limit: Decimal = ask.limit_price or ZERO
            best = levels[0][0] if levels else None
            if best is not None and (limit >= best if ask.side == "buy" else limit <= best):
                raise refusals.place("INVALID_LIMIT_PRICE", "The order would cross the book")

    def _created(self, account: Account, listing: Listing, ask: Ask, held: Decimal) -> Order:
        account.hold(listing.quote if ask.side == "buy" else listing.base, held)
        name, number = self._ids.next(self.now_ns)
        order = Order(
            id=name,
            number=number,
            account=account.id,
            symbol=listing.symbol,
            ask=ask,
            created_ns=self.now_ns,
            updated_ns=self.now_ns,
            qty=ask.qty or ZERO,
            held=held,
            waits=ask.type == "stoplimit",
        )
        self._numbers[str(number)] = name
        return self._floor.put(order)

    def _plan(self, at_ns: int, what: str, order_id: str = "") -> None:
        self._planned += 1
        heappush(self._events, (at_ns, self._planned, what, order_id))

    def _advance(self, now_ns: int) -> None:
        """Events and trades in the order of time; a trade goes before an event of its instant."""
        while self._events and self._events[0][0] <= now_ns:
            at_ns, _, what, order_id = heappop(self._events)
            self._settle(at_ns)
            self._happen(at_ns, what, order_id)
        self._settle(now_ns)

    def _happen(self, at_ns: int, what: str, order_id: str) -> None:
        if what == "process":
            self._floor.process(order_id)
        elif what == "cancel":
            if self.orders[order_id].status is Status.WORKING:
                self._floor.end(self.orders[order_id])
        else:
            for account in self.ledger.accounts.values():
                account.volume.refresh(at_ns)
            self._plan(next_refresh_ns(at_ns), "refresh")

    def _settle(self, until_ns: int) -> None:
        """Let the trades up to and with `until_ns` reach the open orders."""
        since_ns = self.now_ns
        if until_ns <= since_ns:
            return
        for symbol in [name for name, ids in self._floor.open.items() if ids]:
            self._settle_market(self.market.listings[symbol], since_ns + 1, until_ns + 1)
        self._floor.now_ns = until_ns

    def _settle_market(self, listing: Listing, start_ns: int, end_ns: int) -> None:
        symbol = listing.symbol
        trades = self.market.trades(symbol, start_ns, end_ns)
        first = 0
        while first < len(trades) and self._floor.open[symbol]:
            trades = trades[first:]
            first = len(trades)
            for row in liquidity.reaching(trades, self._floor.working(symbol), listing).tolist():
                one = liquidity.print_of(trades, row, listing)
                self._floor.now_ns = one.ts_ns
                if self._floor.reached(symbol, one):
                    first = row + 1  # a stop has become a limit order, which more trades reach
                    break
