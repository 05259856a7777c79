"""The private endpoints over the matching engine: signing in, accounts, orders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from zlib import crc32

from aiohttp import web

from cq.sim import bodies, order_texts, refusals
from cq.sim.accounts import Account, Ledger, account_id
from cq.sim.answers import answer, no_route
from cq.sim.holders import Holder
from cq.sim.liquidity import Market
from cq.sim.listing import Listing
from cq.sim.matching import Matching
from cq.sim.money import text
from cq.sim.orders import Order, Status
from cq.sim.refusals import Refusal
from cq.sim.simulation import Simulation
from cq.sim.tokens import Key, Tokens
from cq.sim.trading_switches import TradingSwitches
from cq.utils.time import SECOND

Handler = Callable[[web.Request], Awaitable[web.Response]]
Signed = Callable[[web.Request, Account], web.Response]


@dataclass
class PrivateSide:
    """What a `Simulation` takes as `exchange`."""

    matching: Matching
    tokens: Tokens
    sim: Simulation | None = field(default=None, repr=False)

    @property
    def switches(self) -> TradingSwitches:
        """How it behaves where nobody knows."""
        return self.matching.switches

    def expire_tokens(self) -> None:
        """From now on no token that was handed out is active."""
        self.tokens.expire()

    def routes(self, sim: Simulation) -> list[web.RouteDef]:
        """Paths below /api/v4; the names are those that limits and faults go by."""
        self.sim = sim
        account, pair = "/accounts/{account}", "{symbol:[^/-]+-[^/-]+}"
        orders, one = f"{account}/{pair}/orders", f"{account}/{pair}/orders/{{order}}"
        every = f"{account}/cancel_all_open_orders"
        return [
            web.post("/oauth2/token", self._answered(self.oauth2), name="oauth2_token"),
            web.post("/authorize", self._answered(self.authorize), name="authorize"),
            web.get("/accounts", self._answered(self.accounts), name="accounts"),
            web.get(f"{account}/balances", self._own(self.balances), name="balances"),
            web.get(f"{account}/positions", self._own(self.positions), name="positions"),
            web.get(f"{account}/tier", self._own(self.tier), name="tier"),
            web.get(f"{account}/{pair}/fees", self._own(self.fees), name="trading_fees"),
            web.get(f"{account}/orders", self._own(self.all_orders), name="list_all_orders"),
            web.get(orders, self._own(self.market_orders), name="list_market_orders"),
            web.post(orders, self._answered(self.place), name="place_order"),
            web.get(one, self._own(self.get), name="get_order"),
            web.delete(one, self._own(self.cancel), name="cancel_order"),
            web.delete(every, self._own(self.cancel_all_orders), name="cancel_all_orders"),
        ]

    # signing in

    async def oauth2(self, request: web.Request) -> web.Response:
        """The newer way in: a form, or HTTP Basic."""
        if not self.switches.oauth2:
            return no_route()
        pair = await bodies.client_of(request)
        key = self.tokens.key_of(*pair) if pair else None
        if key is None:
            raise self.tokens.inactive()
        grant = self.tokens.issue(key, self._now_ns())
        return answer(
            {
                "access_token": grant.token,
                "expires_in": self.switches.token_seconds - 1,
                "scope": "global",
                "token_type": "bearer",
            }
        )

    async def authorize(self, request: web.Request) -> web.Response:
        """The older way in: JSON."""
        if not self.switches.authorize:
            return no_route()
        key = self.tokens.key_of(*await bodies.login_of(request))
        if key is None:
            raise Refusal(*refusals.WRONG_LOGIN)
        grant = self.tokens.issue(key, self._now_ns())
        skew_ns = self._sim.told_ns() - self._sim.now_ns()
        expiration = (grant.expires_ns + skew_ns) // SECOND - 1
        return answer({"access_token": grant.token, "expiration": expiration})

    # the account

    async def accounts(self, request: web.Request) -> web.Response:
        """The one account of the key."""
        key = self._key(request)
        account = self.matching.ledger.accounts[key.account]
        body = {"currency": "BRL", "currencySign": "R$", "id": account.id, "name": account.name}
        return answer([{**body, "type": "NORMAL"}])

    def balances(self, _: web.Request, account: Account) -> web.Response:
        """Every asset, those without anything too, in no order."""
        listings = self.matching.market.listings.values()
        assets = {one for listing in listings for one in (listing.base, listing.quote)}
        rows = []
        for asset in sorted(assets | set(account.purses), key=lambda one: crc32(one.encode())):
            purse = account.purse(asset)
            row = {"available": purse.available, "on_hold": purse.on_hold, "total": purse.total}
            rows.append({"symbol": asset} | {name: text(value) for name, value in row.items()})
        return answer(rows)

    def positions(self, request: web.Request, account: Account) -> web.Response:
        """Open orders, not holdings."""
        asked = [one for one in request.query.get("symbols", "").split(",") if one]
        found = [
            order_texts.position(one)
            for one in self.matching.newest_first(account)
            if one.status in order_texts.OPEN and (not asked or one.symbol in asked)
        ]
        return answer(found)

    def tier(self, _: web.Request, account: Account) -> web.Response:
        """Documented, and 404 in every recording."""
        if self.switches.tier_reply == "missing":
            return no_route()
        return answer([{"tier": str(account.volume.tier)}])

    def fees(self, request: web.Request, account: Account) -> web.Response:
        """Fractions here, percent in the executions."""
        listing = self._listing(request, "GET_FEES")
        rates = self.matching.rates(account, listing)
        return answer(
            {
                "base": listing.base,
                "quote": listing.quote,
                "maker_fee": text(rates.maker),
                "taker_fee": text(rates.taker),
            }
        )

    # orders

    async def place(self, request: web.Request) -> web.Response:
        """A new order: token, account and types are checked here, the rest by the engine."""
        key = self._key(request)
        account = self._account(request, key)
        ask = bodies.ask_of(await bodies.json_body(request))
        if key.read_only:
            raise refusals.place(*refusals.READ_ONLY)
        symbol = request.match_info["symbol"]
        order = self.matching.place(account, symbol, ask, self._now_ns())
        return answer({"orderId": order.id})

    def get(self, request: web.Request, account: Account) -> web.Response:
        """One order, by its id or by the platform's number."""
        order = self._order(request, account, "GET_ORDER")
        return answer(order_texts.order_body(order, self.switches))

    def market_orders(self, request: web.Request, account: Account) -> web.Response:
        """The orders of one market, newest first."""
        symbol = self._listing(request, "LIST_ORDERS").symbol
        asked = {**request.query, "symbol": symbol}
        orders = self.matching.newest_first(account)
        return answer(order_texts.market_list(orders, asked, self.switches))

    def all_orders(self, request: web.Request, account: Account) -> web.Response:
        """The orders of all markets, newest first."""
        known = ("has_executions", "symbol", "status", "size")
        asked = {name: request.query[name] for name in known if name in request.query}
        orders = self.matching.newest_first(account)
        return answer({"items": order_texts.all_list(orders, asked, self.switches)})

    def cancel(self, request: web.Request, account: Account) -> web.Response:
        """Cancel one order, by default in a moment."""
        self._may_write(request, "CANCEL_ORDER")
        order = self._order(request, account, "CANCEL_ORDER")
        asynchronous = request.query.get("async", "true").lower() != "false"
        order = self.matching.cancel(order, self._now_ns(), asynchronous)
        if self.switches.cancel_reply == "empty":
            return answer({})
        return answer({"status": "queued_to_cancel" if asynchronous else "cancelled"})

    def cancel_all_orders(self, request: web.Request, account: Account) -> web.Response:
        """Cancel every working order, in a moment."""
        self._may_write(request, "CANCEL_ALL_OPEN_ORDERS")
        symbol, executed = request.query.get("symbol"), request.query.get("has_executions")
        found = [
            one
            for one in self.matching.newest_first(account)
            if one.status is Status.WORKING
            and (not symbol or one.symbol == symbol)
            and order_texts.has_executions(one, executed)
        ]
        for one in found:
            self.matching.cancel(one, self._now_ns())
        items = [order_texts.queued(one) for one in found]
        if self.switches.cancel_all_reply == "array":
            return answer(items)
        return answer(items[0] if items else {})

    # what they share

    def _answered(self, handler: Handler) -> Handler:
        """Turn a Refusal into its answer."""

        @wraps(handler)
        async def answered(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                return answer(refusal.body, refusal.status)

        return answered

    def _own(self, handler: Signed) -> Handler:
        """A request about an account: its token and account are checked, the time moved first."""

        @wraps(handler)
        async def own(request: web.Request) -> web.Response:
            account = self._account(request, self._key(request))
            self.matching.advance(self._now_ns())
            return handler(request, account)

        return self._answered(own)

    @property
    def _sim(self) -> Simulation:
        assert self.sim is not None, "routes() was not called"
        return self.sim

    def _now_ns(self) -> int:
        return self._sim.now_ns()

    def _key(self, request: web.Request) -> Key:
        return self.tokens.check(request.headers.get("Authorization"), self._now_ns())

    def _account(self, request: web.Request, key: Key) -> Account:
        if request.match_info["account"] != key.account:
            raise self.tokens.foreign()
        return self.matching.ledger.accounts[key.account]

    def _may_write(self, request: web.Request, module: str) -> None:
        if self._key(request).read_only:
            error, message = refusals.READ_ONLY
            raise Refusal(400, f"TRADING|{module}|{error}", message)

    def _listing(self, request: web.Request, module: str) -> Listing:
        listing = self.matching.market.listings.get(request.match_info["symbol"])
        if listing is None:
            raise refusals.unknown_pair(module)
        return listing

    def _order(self, request: web.Request, account: Account, module: str) -> Order:
        symbol = self._listing(request, module).symbol
        order = self.matching.find(account, symbol, request.match_info["order"])
        if order is None:
            raise refusals.unknown_order(module)
        return order


def private_side(
    market: Market,
    start_ns: int,
    holders: tuple[Holder, ...] = (Holder(),),
    switches: TradingSwitches | None = None,
    seed: int = 0,
) -> PrivateSide:
    """Accounts and a matching engine on a market, ready for `Simulation(exchange=…)`."""
    switches = TradingSwitches() if switches is None else switches
    ledger = Ledger()
    keys = []
    for holder in holders:
        account = Account(account_id(holder.login), opened_ns=start_ns)
        ledger.open(account, holder.balances)
        keys.append(Key(holder.login, holder.password, account.id, holder.read_only))
    matching = Matching(market, start_ns, switches, seed, ledger)
    return PrivateSide(matching, Tokens(tuple(keys), switches, seed))
