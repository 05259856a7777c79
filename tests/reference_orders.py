"""A slow, obvious engine with every kind of order: one bar, one symbol, one rule after the other.

Written from docs/engine.md alone, with dicts and objects and no code of cq; it is what the loop
over bars is held against.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

YEAR = 365 * 86_400 * 10**9


@dataclass
class Rules:
    cash: float = 1_000.0
    fill: str = "next_open"
    unit: str = "fraction"
    taker: float = 0.0
    maker: float = 0.0
    minimum: float = 0.0
    later: tuple | None = None  # (from ts, taker, maker, minimum)
    bps: float = 0.0
    half_ticks: float = 0.0
    tick: float | None = None
    decimals: int | None = None
    min_notional: float = 0.0
    max_position: float = 1.0
    max_gross: float = 1.0
    band: float = 0.0
    latency: int = 0
    short: bool = False
    borrow: float = 0.0
    participation: float | None = None
    impact: bool = False
    entry: str = "market"
    limit: tuple | None = None  # (kind, value or None for the bar's own)
    trigger: tuple | None = None
    stop: tuple | None = None
    take: tuple | None = None
    trail: tuple | None = None
    expires: int = 0
    max_bars: int = 0
    cooldown: int = 0
    reentry: str = "signal"
    together: bool = False
    interval_ns: int = 3_600_000_000_000


@dataclass
class Bar:
    ts: int
    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float = 1.0
    target: float | None = None
    impact: float = 0.0
    act: bool = False
    said: dict = field(default_factory=dict)
    fine: list = field(default_factory=list)  # (open, high, low, close) of finer bars


@dataclass
class Order:
    target: float
    kind: str
    why: str
    said: dict
    limit: float = math.nan
    trigger: float = math.nan
    fired: bool = False
    age: int = 0
    left: float | None = None


@dataclass
class Position:
    qty: float = 0.0
    stop: float | None = None
    take: float | None = None
    trail: tuple | None = None
    best: float = 0.0
    bars: int = 0
    ending: bool = False  # a level was met, and volume has left some of it
    over: str = ""  # why it was decided to close it early, until it is or another decision comes


def sign(x):
    return (x > 0) - (x < 0)


class Engine:
    def __init__(self, bars, rules):
        self.rules, self.cash, self.borrowed = rules, rules.cash, 0.0
        self.symbols = sorted({bar.symbol for bar in bars})
        self.position = {s: Position() for s in self.symbols}
        self.order: dict[str, Order] = {}
        self.waiting = {s: [] for s in self.symbols}  # (bars still to go, Order)
        self.acted = dict.fromkeys(self.symbols, 0.0)
        self.barred = dict.fromkeys(self.symbols, 0)
        self.cooling = dict.fromkeys(self.symbols, 0)
        self.ended = set()
        self.mark: dict[str, float] = {}
        self.room: dict[str, float] = {}
        self.fills, self.curve = [], []
        self.by_time = {}
        for bar in bars:
            self.by_time.setdefault(bar.ts, {})[bar.symbol] = bar

    # -- what things are worth

    def equity(self):
        return self.cash + sum(
            self.position[s].qty * self.mark[s] for s in self.symbols if self.position[s].qty
        )

    def others(self, symbol):
        return sum(
            abs(self.position[s].qty) * self.mark[s]
            for s in self.symbols
            if s != symbol and self.position[s].qty
        )

    def fees(self, ts):
        r = self.rules
        if r.later and ts >= r.later[0]:
            return r.later[1:]
        return r.taker, r.maker, r.minimum

    # -- numbers

    def on_tick(self, price, up):
        tick = self.rules.tick
        if tick is None:
            return price
        steps = price / tick
        near = round(steps)
        if abs(steps - near) > 1e-6:
            near = math.ceil(steps) if up else math.floor(steps)
        return max(near, 1 if up else 0) * tick

    def paid(self, buying, price):
        """What a trader pays or gets for `price`; below one tick a sale gets it as it is."""
        r = self.rules
        if not buying and r.tick and price < r.tick * (1 - 1e-6):
            return price
        return self.on_tick(price, buying)

    def cut(self, qty):
        d = self.rules.decimals
        if d is None:
            return qty
        lots = qty * 10**d
        hair = max(
            min(1e-9 + 1e-12 * lots, 0.5), 0.0
        )  # docs/engine.md: a hair below a lot is that lot
        whole = math.ceil(lots)
        return (whole if whole - lots <= hair else whole - 1) / 10**d

    def tidy(self, qty):
        d = self.rules.decimals
        return qty if d is None else round(qty * 10**d) / 10**d

    def slipped(self, buying, reference, qty, bar, order):
        r = self.rules
        move = r.bps / 10_000
        if r.tick:
            move = max(move, r.half_ticks * r.tick / reference)
        if r.impact:
            move += bar.impact * math.sqrt(qty)
        move = min(move, 0.99)
        price = self.paid(buying, reference * (1 + move if buying else 1 - move))
        if order.kind == "stop_limit":
            price = min(price, order.limit) if buying else max(price, order.limit)
        return price

    def wanted(self, target, equity, price):
        r = self.rules
        if r.unit == "fraction":
            return target * equity / price
        qty = target if r.unit == "units" else target / price
        most = r.max_position * equity / price
        return max(-most, min(most, qty))

    @staticmethod
    def away(said, own, price, direction):
        """The price `direction` (±1) of `price` by what was said; None if nothing was."""
        if said is None:
            return None
        kind, value = said
        value = own if value is None else value
        if value is None or math.isnan(value):
            return None
        if kind == "price":
            return value
        return price + direction * (value * price if kind == "share" else value)

    def price_of(self, level, up):
        """A level on the grid; None where there is none, or none above zero."""
        if level is None:
            return None
        level = self.on_tick(level, up)
        return level if level > 0 else None

    # -- trading

    def trade(self, bar, reference, equity, ts, resting=False, slips=True):
        """Carry out the symbol's order at `reference`."""
        s, r = bar.symbol, self.rules
        order, held = self.order[s], self.position[s].qty
        first = order.left is None
        whole = order.target == 0
        if whole:
            delta = -held
        elif first:
            delta = self.wanted(order.target, equity, reference) - held
            if order.kind != "market" and delta * order.target < 0:
                del self.order[s]  # an entry never reduces what is held
                return
        else:
            delta = order.left
        buying = delta > 0
        taker, maker, minimum = self.fees(ts)
        rate = maker if resting else taker
        if slips:
            price = self.slipped(buying, reference, abs(delta), bar, order)
        else:
            price = self.paid(buying, reference)
        size = abs(delta)
        room = (r.max_gross * equity - self.others(s)) / reference
        if buying:
            pays = min(self.cash / (price * (1 + rate)), (self.cash - minimum) / price)
            size = min(size, pays) if whole else min(size, pays, max(room, 0.0) - held)
            if not whole or size < abs(delta):
                size = self.cut(size)
        elif not whole:
            if size > held:
                already = max(-held, 0.0)
                size = min(size, max(held, 0.0) + max(room - already, 0.0))
            size = self.cut(size)
        worth = size * reference
        leaves_nothing = whole and size == abs(delta)
        dust = not leaves_nothing and worth <= 1e-9 * abs(equity)
        if size <= 0 or dust or (first and worth < r.min_notional):
            del self.order[s]
            return
        if not buying and max(rate * size * price, minimum) > self.cash + size * price:
            del self.order[s]
            return
        done = size
        if r.participation is not None:
            if self.room[s] < size:
                done = self.cut(self.room[s])
            if done <= 0:
                order.left = size if buying else -size
                return
            if slips:
                price = self.slipped(buying, reference, done, bar, order)
            if not buying and max(rate * done * price, minimum) > self.cash + done * price:
                order.left = -size
                return
            self.room[s] -= done
        left = self.tidy(size - done)
        order.left = left if buying else -left
        if left <= 0:
            del self.order[s]
        fee = max(rate * done * price, minimum)
        if buying:
            self.cash = max(self.cash - done * price - fee, 0.0)
        else:
            self.cash += done * price - fee
        self.moved(s, held, self.tidy(held + (done if buying else -done)), price, order)
        self.fills.append(
            {
                "ts": ts, "symbol": s, "side": "buy" if buying else "sell", "qty": done,
                "price": price, "fee": fee, "slippage": abs(price - reference) * done,
                "reason": order.why,
            }
        )  # fmt: skip

    def moved(self, s, before, after, price, order):
        p, r = self.position[s], self.rules
        p.qty = after
        if after == 0:
            self.position[s] = Position()
            self.cooling[s] = r.cooldown
        elif before * after <= 0:
            long = sign(after)
            said = order.said
            stop = self.away(r.stop, said.get("stop"), price, -long)
            take = self.away(r.take, said.get("take"), price, long)
            p.stop = self.price_of(stop, long < 0)
            p.take = self.price_of(take, long > 0)
            p.trail = None
            if r.trail is not None:
                value = said.get("trail") if r.trail[1] is None else r.trail[1]
                p.trail = (r.trail[0], value)
            p.best, p.bars, p.ending, p.over = price, 0, False, ""

    def group(self, bars, prices, at_end):
        due = [s for s in sorted(bars) if s in self.order and self.order[s].kind == "market"]
        equity = self.equity()
        for s in self.ranked(due, prices, equity):
            ts = bars[s].ts + (self.rules.interval_ns if at_end else 0)
            self.trade(bars[s], prices[s], equity, ts)

    def ranked(self, symbols, prices, equity):
        def selling(s):
            order = self.order[s]
            if order.kind != "market":
                return order.target < 0
            if order.left is not None:
                return order.left < 0
            return self.wanted(order.target, equity, prices[s]) < self.position[s].qty

        def weight(s):
            target = self.order[s].target
            return target * prices[s] if self.rules.unit == "units" else target

        sells = [s for s in symbols if selling(s)]
        buys = sorted((s for s in symbols if s not in sells), key=lambda s: (-weight(s), s))
        return sells + buys

    # -- levels

    def stop_of(self, s):
        """(price, why) of the stop that counts, or (None, None)."""
        p = self.position[s]
        long, best, why = sign(p.qty), p.stop, "stop_loss"
        if p.trail is not None:
            moving = self.price_of(self.away(p.trail, None, p.best, -long), long < 0)
            if moving is not None and (best is None or (moving - best) * long > 0):
                best, why = moving, "trailing_stop"
        return best, why

    def look(self, bar, prices, since, came):
        """Close the position if `prices` (open, high, low, close) reach one of its levels.

        `came` is what the market stood at when this began to count.
        """
        s = bar.symbol
        _, h, low, c = prices
        p = self.position[s]
        long = p.qty > 0
        stop, why = self.stop_of(s)
        worst, best = (low, h) if long else (h, low)
        sure = c if since == "after a limit" else best

        def beyond(price, mark):
            return price <= mark if long else price >= mark

        one_cancelled_the_others = p.ending and s in self.order and self.order[s].kind == "market"
        if not one_cancelled_the_others:
            if stop is not None and beyond(came, stop):
                self.close(bar, came, why)
            elif p.take is not None and beyond(p.take, came):
                self.close(bar, came, "take_profit")
            elif stop is not None and beyond(worst, stop):
                self.close(bar, stop, why)
            elif p.take is not None and beyond(p.take, sure):
                self.close(bar, p.take, "take_profit")
        p = self.position[s]
        if p.qty and (p.qty > 0) == long:
            p.best = max(p.best, sure) if long else min(p.best, sure)

    def close(self, bar, price, why):
        s = bar.symbol
        was, waiting = self.position[s].qty, self.order.get(s)
        self.order[s] = Order(0.0, "market", why, {})
        taking = why == "take_profit"
        self.trade(bar, price, self.equity(), bar.ts, resting=taking, slips=not taking)
        if self.position[s].qty == was and s not in self.order:
            if waiting is not None:
                self.order[s] = waiting
            return
        self.ended.add(s)
        self.position[s].ending = self.position[s].qty != 0
        self.give_up(s, was, waiting)
        if waiting is not None and waiting.target * was < 0:
            if waiting.left is not None:  # so much less is to be sold, or covered
                waiting.left = self.tidy(waiting.left + (was - self.position[s].qty))
            self.order[s] = waiting

    def turns(self, s, was, working):
        """Whether it was decided already to leave a position on the side of `was`."""
        decided = [order for _, order in self.waiting[s]]
        return any(one.target * was <= 0 for one in ([working] if working else []) + decided)

    def give_up(self, s, was, working=None):
        """After an exit that no signal asked for: what would have kept the position goes."""
        turned = working is not None and working.target * was <= 0
        kept = []
        for n, order in self.waiting[s]:
            turned = turned or order.target * was <= 0
            if turned:
                kept.append((n, order))
        self.waiting[s] = kept
        if not turned and self.acted[s] * was > 0:
            self.forget(s, was)

    def forget(self, s, was):
        """Wait for a new signal, if what was acted on last is for the side of `was`."""
        if self.acted[s] * was > 0 and self.rules.reentry == "signal":
            self.barred[s] = sign(was)
        self.acted[s] = 0.0

    # -- resting orders

    def meets(self, order, prices, new):
        """(price, since, rested) where these prices carry the order out."""
        o, h, low, _ = prices
        up = order.target > 0
        if order.kind in ("stop", "stop_limit") and not order.fired:
            if (h < order.trigger) if up else (low > order.trigger):
                return None
            order.fired = True
            at_once = o >= order.trigger if up else o <= order.trigger
            if order.kind == "stop":
                return (o, "all", False) if at_once else (order.trigger, "after a stop", False)
            if not at_once:
                good = order.trigger <= order.limit if up else order.trigger >= order.limit
                return (order.trigger, "after a stop", False) if good else None
            new = True
        if o <= order.limit if up else o >= order.limit:
            return o, "all", not new
        if low <= order.limit if up else h >= order.limit:
            return order.limit, "after a limit", True
        return None

    def rest(self, bar, equity):
        s, r = bar.symbol, self.rules
        pieces = bar.fine or [(bar.open, bar.high, bar.low, bar.close)]
        for n, prices in enumerate(pieces):
            if bar.fine and self.position[s].qty:
                self.look(bar, prices, "all", prices[0])
            order, opened = self.order.get(s), False
            if order is not None and order.kind != "market":
                found = self.meets(order, prices, order.age == 0 and n == 0)
                if found:
                    price, since, rested = found
                    before = self.position[s].qty
                    slips = order.kind == "stop" or (
                        order.kind == "stop_limit" and since == "after a stop"
                    )
                    self.trade(bar, price, equity, bar.ts, resting=rested, slips=slips)
                    if order.kind == "stop":
                        order.kind = "market"
                    opened = before == 0 and self.position[s].qty != 0
            if opened:
                self.look(bar, prices, since, price)
        order = self.order.get(s)
        if order is not None and order.kind != "market":
            order.age += 1
            if r.expires and order.age >= r.expires:
                del self.order[s]
                if self.position[s].qty == 0:
                    self.give_up(s, order.target)

    # -- decisions

    def take_up(self, bar):
        s, r = bar.symbol, self.rules
        waiting = [(n - 1, one) for n, one in self.waiting[s]]
        due = [one for n, one in waiting if n == 0]
        self.waiting[s] = [(n, one) for n, one in waiting if n > 0]
        if not due:
            return
        order = due[0]
        held, target = self.position[s].qty, order.target
        if target != 0:
            self.position[s].over = ""
        if s in self.order:
            del self.order[s]
        enters = target != 0 and held * target >= 0
        if enters and held != 0 and r.entry != "market":
            enters = abs(self.wanted(target, self.equity(), self.mark[s])) > abs(held)
        order.kind = r.entry if enters else "market"
        up, close = target > 0, order.said["close"]
        toward = 1 if up else -1
        if order.kind == "limit":
            price = self.price_of(
                self.away(r.limit, order.said.get("limit"), close, -toward), not up
            )
            if price is None:
                return
            order.limit = price
        elif order.kind != "market":
            price = self.price_of(
                self.away(r.trigger, order.said.get("trigger"), close, toward), up
            )
            if price is None:
                return
            order.trigger = price
            limit = self.away(r.limit, order.said.get("limit"), order.trigger, toward)
            if limit is not None:
                order.limit = self.on_tick(limit, not up)
        self.order[s] = order
        self.position[s].ending = False

    def end_others(self, bars):
        """Legs stand and fall together: True where one fell."""
        for s in bars:
            p = self.position[s]
            if self.too_old(s, p.bars + 1):
                self.ended.add(s)
        fell, self.ended = self.ended, set()
        for s in self.symbols if fell else []:
            if s in fell:
                continue
            self.waiting[s] = []
            if s in self.order and (self.order[s].kind != "market" or self.order[s].target):
                del self.order[s]
            qty = self.position[s].qty
            if qty or self.acted[s]:
                self.forget(s, qty or self.acted[s])
            if qty:
                self.position[s].over = "other_leg"
                order = Order(0.0, "market", "other_leg", {"close": math.nan})
                self.waiting[s].append((1 + self.rules.latency, order))
        return bool(fell)

    def too_old(self, s, bars):
        """Whether its time is over, and nothing is under way that ends it."""
        qty = self.position[s].qty
        return qty and bars == self.rules.max_bars and not self.turns(s, qty, self.order.get(s))

    def decide(self, bar, fell):
        s = bar.symbol
        p = self.position[s]
        cooling = self.cooling[s] > 0
        self.cooling[s] = max(self.cooling[s] - 1, 0)
        if p.qty:
            p.bars += 1
            if self.too_old(s, p.bars):
                self.forget(s, p.qty)
                p.over = "max_bars"
                self.put(bar, 0.0, "max_bars")
                return
        not_sent = p.over and not self.turns(s, p.qty, self.order.get(s))
        if not fell:
            self.follow(bar, cooling, not_sent)
        if not_sent and not self.turns(s, p.qty, self.order.get(s)):
            self.put(bar, 0.0, p.over)

    def follow(self, bar, cooling, leaving):
        """Decide by the target; what is `leaving` in any case is not kept by it."""
        s, r = bar.symbol, self.rules
        p, want = self.position[s], bar.target
        if want is None:
            return
        if r.unit == "fraction":
            want = max(-r.max_position, min(r.max_position, want))
        if not r.short:
            want = max(want, 0.0)
        if self.barred[s]:
            if sign(want) == self.barred[s]:
                return
            self.barred[s] = 0
        if leaving and want * p.qty >= 0:
            return
        if cooling and p.qty == 0 and want != 0:
            return
        was = self.acted[s]
        band = r.band if r.unit == "fraction" else r.band * abs(was)
        if sign(want) != sign(was) or abs(want - was) > band or (bar.act and want):
            self.acted[s] = want
            self.put(bar, want, "signal")

    def put(self, bar, target, why):
        said = {**bar.said, "close": bar.close}
        self.waiting[bar.symbol].append(
            (1 + self.rules.latency, Order(target, "market", why, said))
        )

    # -- time

    def run(self):
        before = None
        for ts in sorted(self.by_time):
            bars = self.by_time[ts]
            years = 0.0 if before is None else (ts - before) / YEAR
            before = ts
            self.step(bars, years)
            gross = sum(abs(p.qty) * self.mark[s] for s, p in self.position.items() if p.qty)
            self.curve.append((ts, self.equity(), self.cash, gross))
        return self

    def step(self, bars, years):
        r = self.rules
        for s in self.symbols:
            if self.position[s].qty < 0:
                owed = -self.position[s].qty * self.mark[s] * r.borrow * years
                self.cash -= owed
                self.borrowed += owed
        for s, bar in bars.items():
            self.mark[s] = bar.open
            if r.participation is not None:
                self.room[s] = bar.volume * r.participation
        for s in sorted(bars):
            self.take_up(bars[s])
        if r.fill == "next_open":
            self.group(bars, {s: bar.open for s, bar in bars.items()}, False)
        for s in sorted(bars):
            bar, order = bars[s], self.order.get(s)
            if bar.fine and order is not None and order.kind != "market":
                continue  # its finer bars are gone through once, with the entry that waits
            for prices in bar.fine or [(bar.open, bar.high, bar.low, bar.close)]:
                if self.position[s].qty:
                    self.look(bar, prices, "all", prices[0])
        resting = [s for s in sorted(bars) if s in self.order and self.order[s].kind != "market"]
        equity = self.equity() if resting else 0.0
        opens = {s: bar.open for s, bar in bars.items()}
        for s in self.ranked(resting, opens, equity):
            self.rest(bars[s], equity)
        for s, bar in bars.items():
            self.mark[s] = bar.close
        if r.fill == "next_close":
            self.group(bars, {s: bar.close for s, bar in bars.items()}, True)
        fell = r.together and self.end_others(bars)
        for s in sorted(bars):
            self.decide(bars[s], fell)
