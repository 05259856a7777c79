"""Trades without a loop over bars: only the moments at which something is filled are visited.

Decisions are found by comparing columns, the curve is built in steps between fills. It serves rules
under which nothing that happens within a bar, or to a fill, changes what is decided next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from cq.backtest.account import Account
from cq.backtest.arithmetic import FRACTION, allowed, desired, fee_of, priced, tidied
from cq.backtest.costs import Costs
from cq.backtest.intents import Floats, Ints, changes
from cq.backtest.market import LEVELS, Market, Rules
from cq.backtest.stepping import Carried, begun
from cq.backtest.tape import Tape
from cq.backtest.world import FILL
from cq.utils.time import bar_end

Wish = tuple[int, float]
"""A market, by its place among them, and the part of equity that is to be held of it."""


Decided = tuple[Ints, Floats]
"""The rows at which a market is decided, and to what."""


class Visited(NamedTuple):
    """What the fills left, as `Simulation` begins: the account at the close of every bar."""

    fills: Tape
    account: Account
    ts: Ints
    equity: Floats
    cash: Floats
    exposure: Floats
    carried: Carried


def visit_fills(markets: Sequence[Market], rules: Rules, start: int, ts: Ints) -> Visited:
    """Trade the moments `ts`, of bars that open from `start` on; `markets` come by symbol."""
    decided = [_decided(one, rules, start) for one in markets]
    moments, groups = _groups(markets, rules, decided)
    marks = _marks(markets, moments, rules.fill).T.tolist()
    at_close = rules.fill != "next_open"
    purse = Purse(rules.cash, [0.0] * len(markets))
    cash, held = [purse.cash], [purse.held[:]]
    costs = rules.costs
    for moment, wishes, prices in zip(moments.tolist(), groups, marks, strict=True):
        when = bar_end(moment, rules.interval) if at_close else moment
        if costs.dated is not None:
            costs = rules.costs.at(when)
        purse.settle(wishes, prices, when, costs)
        cash.append(purse.cash)
        held.append(purse.held[:])
    symbols = tuple(one.symbol for one in markets)
    rows = np.array(purse.fills, dtype=FILL)
    fills = Tape.of_rows(rows, np.full(rows.size, at_close), symbols)
    left = {name: qty for name, qty in zip(symbols, purse.held, strict=True) if qty}
    curve = _curve(markets, ts, moments, np.array(cash), np.array(held))
    carried = _carried(markets, rules, start, ts, purse, decided)
    return Visited(fills, Account(purse.cash, left), ts, *curve, carried)


class Purse:
    """Cash and what is held of each market, in their order, and the fills so far.

    What an `Account` does, for thousands of fills: without an object for each of them.
    """

    def __init__(self, cash: float, held: list[float]) -> None:
        self.cash = cash
        self.held = held
        self.fills: list[tuple[int, int, int, float, float, float, float]] = []

    def settle(
        self, wishes: Sequence[Wish], prices: Sequence[float], when: int, costs: Costs
    ) -> None:
        """Fill all wishes of one moment; `prices` are what each market is worth, or filled at.

        Sells come by name, then buys from the largest target down: cash comes first.
        """
        equity = self.cash + self._worth(prices, but=-1)
        if len(wishes) > 1:
            wishes = sorted(wishes, key=lambda wish: self._place(wish, equity, prices))
        for who, target in wishes:
            self._fill(who, target, equity, prices, when, costs)

    def _worth(self, prices: Sequence[float], *, but: int) -> float:
        """What is held of all markets but one."""
        worth = 0.0
        for who, qty in enumerate(self.held):
            if qty and who != but:
                worth += qty * prices[who]
        return worth

    def _place(self, wish: Wish, equity: float, prices: Sequence[float]) -> tuple[bool, float, int]:
        who, target = wish
        if target * equity / prices[who] < self.held[who]:
            return False, 0.0, who
        return True, -target, who

    def _fill(
        self,
        who: int,
        target: float,
        equity: float,
        prices: Sequence[float],
        when: int,
        costs: Costs,
    ) -> None:
        """What the account can trade of one wish; a target of 0 sells everything, uncut."""
        held, whole, reference = self.held[who], target == 0, prices[who]
        delta = -held if whole else desired(target, FRACTION, equity, reference, 0.0) - held
        buying = delta > 0
        half, tick = costs.half_ticks or 0.0, costs.tick or 0.0
        price = priced(buying, reference, 0.0, costs.slippage_bps / 10_000, half, tick, 0.0)
        scale, rate, minimum = costs.scale, costs.taker, costs.minimum_fee
        others = self._worth(prices, but=who) if buying else 0.0  # a sale never ends short
        signed = allowed(
            delta, whole, held, self.cash, equity, others, reference, price,
            rate, minimum, scale, costs.max_gross_exposure, costs.min_notional,
        )  # fmt: skip
        if signed == 0:
            return
        qty = abs(signed)
        fee = fee_of(qty, price, rate, minimum)
        paid = qty * price
        self.cash = max(self.cash - (paid + fee), 0.0) if buying else self.cash + (paid - fee)
        self.held[who] = tidied(held + signed, scale)
        self.fills.append((when, who, 0, signed, price, fee, abs(price - reference) * qty))


def count_decisions(markets: Sequence[Market], rules: Rules, start: int) -> int:
    """How many intents there are."""
    return sum(_decided(one, rules, start)[0].size for one in markets)


def _decided(market: Market, rules: Rules, start: int) -> Decided:
    """The rows at which `market` is decided, and to what."""
    first = int(np.searchsorted(market.ts, start))
    targets, (least, most, _) = market.target[first:], market.wanted
    if least < 0.0 or most > rules.max_position:
        targets = np.clip(targets, 0.0, rules.max_position)
    act = None if market.act is None else market.act[first:]
    rows = changes(targets, rules.band, act)
    return first + rows, targets[rows]


def _groups(
    markets: Sequence[Market], rules: Rules, decided: Sequence[Decided]
) -> tuple[Ints, list[list[Wish]]]:
    """The moments of filling bars, oldest first, and what is to be filled at each."""
    events: list[tuple[int, int, float]] = []
    later = 1 + rules.latency
    for who, (one, (rows, targets)) in enumerate(zip(markets, decided, strict=True)):
        within = rows + later < one.ts.size  # near the end there is no bar to be filled at
        times = one.ts[rows[within] + later].tolist()
        events += [
            (ts, who, target) for ts, target in zip(times, targets[within].tolist(), strict=True)
        ]
    if len(markets) > 1:
        events.sort()
    moments, groups = [], []
    for ts, together in groupby(events, key=itemgetter(0)):
        moments.append(ts)
        groups.append([(who, target) for _, who, target in together])
    return np.array(moments, dtype=np.int64), groups


def _carried(
    markets: Sequence[Market],
    rules: Rules,
    start: int,
    ts: Ints,
    purse: Purse,
    decided: Sequence[Decided],
) -> Carried:
    """What a run over later bars goes on from, as the loop over bars leaves it: the decisions that
    the last bars were too few for are still on their way."""
    last, slots = int(ts[-1]) if ts.size else 0, rules.latency + 1
    carried = begun(tuple(one.symbol for one in markets), last, rules)
    carried.purse["cash"] = purse.cash
    carried.book["held"] = purse.held
    for who, (one, (rows, targets)) in enumerate(zip(markets, decided, strict=True)):
        first = int(np.searchsorted(one.ts, start))
        if first == one.ts.size:
            continue
        carried.book["mark"][who] = one.close[-1]
        carried.book["slot"][who] = (one.ts.size - first) % slots
        carried.book["acted"][who] = targets[-1] if rows.size else 0.0
        waits = rows + slots >= one.ts.size
        places = who * slots + (rows[waits] - first + 1) % slots
        for name in LEVELS:
            carried.ring[name][places] = math.nan
        carried.ring["target"][places] = targets[waits]
        carried.ring["close"][places] = one.close[rows[waits]]
    return carried


def _marks(markets: Sequence[Market], moments: Ints, fill: str) -> Floats:
    """(symbol × moment): the price of the bar that fills there, else the last close before."""
    table = np.zeros((len(markets), moments.size))
    for i, one in enumerate(markets):
        if not one.ts.size:
            continue
        rows = one.at_or_before(moments)
        filling = one.open if fill == "next_open" else one.close
        prices = np.where(one.ts[rows] == moments, filling[rows], one.close[rows])
        table[i] = np.where(rows >= 0, prices, 0.0)
    return table


def _curve(
    markets: Sequence[Market], ts: Ints, moments: Ints, cash: Floats, positions: Floats
) -> tuple[Floats, Floats, Floats]:
    """Equity, cash and exposure at the close of every bar: constant between fills, but for closes.

    `cash` and `positions` are those before the first moment and after each.
    """
    lengths = np.diff(np.concatenate(([0], np.searchsorted(ts, moments), [ts.size])))
    held: Floats | None = None
    for one, quantities in zip(markets, positions.T, strict=True):
        if quantities.any():
            worth = np.repeat(quantities, lengths)
            worth *= one.last_close(ts)
            held = worth if held is None else np.add(held, worth, out=held)
    if held is None:
        held = np.zeros(ts.size)
    left = np.repeat(cash, lengths)
    equity = left + held
    invested = np.divide(held, equity, out=held, where=equity > 0)  # nothing held: 0 stays 0
    return equity, left, invested
