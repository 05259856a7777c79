"""What holds whatever is done: nothing is made or lost, and looking does not change the outcome."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from venue import START, Venue, at

from cq.sim.accounts import Account, Ledger
from cq.sim.arrays import TradeArrays
from cq.sim.books import Book
from cq.sim.listing import UNIT, Listing
from cq.sim.matching import Matching
from cq.sim.money import EXACT, ZERO
from cq.sim.orders import Ask, Status
from cq.sim.refusals import Refusal
from cq.sim.trading_switches import TradingSwitches
from cq.utils.time import DAY

LISTINGS = {
    "USDT-BRL": Listing("USDT-BRL", "USDT", "BRL", Decimal("0.0001"), min_cost=Decimal("0.01")),
    "ADA-USDT": Listing("ADA-USDT", "ADA", "USDT", Decimal("0.001"), 4, min_cost=Decimal("0.01")),
}
ASSETS = ("BRL", "USDT", "ADA")
MINUTES = 3 * 24 * 60


class Wild(Venue):
    """Prices that jump between 400 and 600 ticks, sizes of any width, a book anew each minute."""

    def __init__(self, seed: int) -> None:
        super().__init__(listings=LISTINGS)
        random = np.random.default_rng(seed)
        self.arrays = {}
        for symbol in LISTINGS:
            ts = START + np.sort(random.integers(0, MINUTES * 60, MINUTES)) * 10**9
            price = np.clip(500 + np.cumsum(random.integers(-9, 10, MINUTES)), 400, 600)
            size = (random.exponential(2, MINUTES) * 10 ** random.uniform(0, 8, MINUTES)) + 1
            side = random.choice([-1, 1], MINUTES)
            columns = (ts, np.arange(MINUTES), price, size, side)
            self.arrays[symbol] = TradeArrays(*(one.astype(np.int64) for one in columns))

    def trades(self, symbol, start_ns, end_ns):
        return self.arrays[symbol].between(start_ns, end_ns)

    def last_price(self, symbol, now_ns):
        done = self.arrays[symbol].between(0, now_ns + 1)
        return LISTINGS[symbol].price(int(done.price[-1]) if len(done) else 500)

    def book(self, symbol, now_ns, depth):
        minute, tick = now_ns // (60 * 10**9), LISTINGS[symbol].tick
        random = np.random.default_rng(minute % 2**32)
        last = self.last_price(symbol, minute * 60 * 10**9)
        sizes = [Decimal(int(one)) / UNIT for one in random.integers(1, 3 * 10**8, 20)]
        bids = [(last - tick * (2 * n + 1), sizes[n]) for n in range(10)]
        asks = [(last + tick * (2 * n + 1), sizes[n + 10]) for n in range(10)]
        return Book(bids[:depth], asks[:depth], now_ns)

    def price_band(self, symbol, now_ns):
        return Decimal("0.0001"), Decimal("100")


def opened(seed, switches):
    """An engine with two accounts that are not poor."""
    ledger = Ledger()
    for name in ("me", "you"):
        ledger.open(Account(name, opened_ns=START), dict.fromkeys(ASSETS, Decimal(1000)))
    return Matching(Wild(seed), START, switches, seed, ledger)


@st.composite
def placed(draw):
    """A market and an order for it that mostly passes the checks."""
    symbol = draw(st.sampled_from(list(LISTINGS)))
    side = draw(st.sampled_from(["buy", "sell"]))
    kind = draw(st.sampled_from(["limit", "limit", "market", "stoplimit", "post-only"]))
    step = draw(st.integers(400, 600))
    places = LISTINGS[symbol].quantity_decimals
    qty = draw(st.decimals(1, 900, places=places) | st.decimals(1, 9, places=places))
    by_cost = kind == "market" and side == "buy" and draw(st.booleans())
    tick, beyond = LISTINGS[symbol].tick, draw(st.integers(0, 60))
    stop = step + beyond if side == "sell" else step - beyond
    ask = Ask(
        side,
        kind,
        None if by_cost else qty,
        None if kind == "market" else tick * step,
        tick * stop if kind == "stoplimit" else None,
        draw(st.decimals("0.01", 900, places=8)) if by_cost else None,
        asynchronous=draw(st.booleans()),
    )
    return symbol, ask


switches = st.builds(
    TradingSwitches,
    resting_fill=st.sampled_from(["queue", "touch", "through"]),
    fee_rounding=st.sampled_from(["up", "down", "half_even"]),
    buy_stop=st.just("accepted"),
    async_delay_ms=st.sampled_from([0, 200, 90_000]),
    cancel_delay_ms=st.sampled_from([0, 500, 90_000]),
)
accounts = st.sampled_from(["me", "you"])


class Anything(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 10**6), switches=switches)
    def open(self, seed, switches):
        self.seed, self.switches = seed, switches
        self.engine = opened(seed, switches)
        self.now_ns, self.done = START, []

    def do(self, name, *words):
        """Do it now, and note it for the replay."""
        self.done.append((self.now_ns, name, words))
        perform(self.engine, self.now_ns, name, words)

    @rule(account=accounts, placed=placed())
    def place(self, account, placed):
        self.do("place", account, *placed)

    @rule(pick=st.integers(0, 30), asynchronous=st.booleans())
    def cancel(self, pick, asynchronous):
        self.do("cancel", pick, asynchronous)

    @rule(seconds=st.integers(0, 300) | st.integers(0, 40_000))
    def wait(self, seconds):
        self.now_ns = min(self.now_ns + seconds * 10**9, START + 2 * DAY)
        self.do("look")

    @invariant()
    def nothing_is_made_or_lost(self):
        for asset in ASSETS:
            assert self.engine.ledger.total(asset) == 2000

    @invariant()
    def holds_are_what_open_orders_keep(self):
        for account in self.engine.ledger.accounts.values():
            held = dict.fromkeys(ASSETS, ZERO)
            for order in self.engine.orders.values():
                if order.account == account.id:
                    base, _, quote = order.symbol.partition("-")
                    held[quote if order.buys else base] += order.held
            for asset in ASSETS:
                purse = account.purse(asset)
                assert purse.on_hold == held[asset]
                assert purse.available >= 0
                assert purse.total == purse.available + purse.on_hold

    @invariant()
    def orders_keep_to_their_size_and_price(self):
        with localcontext(EXACT):
            for order in self.engine.orders.values():
                assert 0 <= order.filled <= max(order.qty, ZERO)
                assert order.filled == sum((one.qty for one in order.executions), ZERO)
                assert (order.status is Status.FILLED) == (order.filled == order.qty > 0)
                if not order.is_open:
                    assert order.held == 0
                elif order.limit is not None:
                    assert order.held == order.need()
                for fill in order.executions:
                    assert order.limit is None or (
                        fill.price <= order.limit if order.buys else fill.price >= order.limit
                    )
                    assert 0 <= fill.fee <= (fill.qty if order.buys else fill.value)
                if order.ask.cost is not None:
                    assert sum(one.value for one in order.executions) <= order.ask.cost

    def teardown(self):
        """The same again, with looks in between: nothing comes out otherwise."""
        if not hasattr(self, "engine"):
            return
        again, looked_ns = opened(self.seed, self.switches), START
        for now_ns, name, words in self.done:
            if name == "look":
                continue
            for part in (3, 2):
                again.advance(looked_ns + (now_ns - looked_ns) // part)
            perform(again, now_ns, name, words)
            looked_ns = now_ns
        again.advance(self.now_ns)
        self.engine.advance(self.now_ns)
        assert again.orders == self.engine.orders
        assert holdings(again) == holdings(self.engine)


def holdings(engine):
    """Every amount there is, and the tiers."""
    ledger = engine.ledger
    mine = {one.id: (one.purses, one.volume.tier) for one in ledger.accounts.values()}
    return mine, ledger.market, ledger.fees


def perform(engine, now_ns, name, words):
    try:
        if name == "place":
            account, symbol, ask = words
            engine.place(engine.ledger.accounts[account], symbol, ask, now_ns)
        elif name == "cancel" and engine.orders:
            pick, asynchronous = words
            ids = list(engine.orders)
            engine.cancel(engine.orders[ids[pick % len(ids)]], now_ns, asynchronous)
        else:
            engine.advance(now_ns)
    except Refusal:
        pass


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_wild_market_fills_orders_in_every_way():
    engine = opened(1, TradingSwitches(buy_stop="accepted"))
    me = engine.ledger.accounts["me"]
    for step in range(0, 100, 4):
        now_ns = at(step * 600)
        for side, price in (("buy", "0.0490"), ("sell", "0.0505")):
            engine.place(me, "USDT-BRL", Ask(side, "limit", Decimal(3), Decimal(price)), now_ns)
    engine.advance(START + 2 * DAY)
    roles = {one.liquidity for order in engine.orders.values() for one in order.executions}
    parts = [len(order.executions) for order in engine.orders.values()]
    assert roles == {"maker", "taker"}
    assert max(parts) > 1
