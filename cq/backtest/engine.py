"""The engine: targets in, fills and an equity curve out; nothing but arrays and one account.

Time is vectorised: decisions are found by comparing columns, the curve is built in steps between
fills. Only the moments at which something is filled are visited one by one, since each needs the
cash that the one before left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cq.backtest.account import Account, Costs, Fill, Intent, settle
from cq.backtest.intents import Floats, Ints, changes
from cq.utils.time import bar_end


@dataclass(frozen=True)
class Market:
    """One symbol's bars and targets, oldest first; NaN where there is no target."""

    symbol: str
    ts: Ints
    open: Floats
    close: Floats
    target: Floats

    def at_or_before(self, moments: Ints) -> Ints:
        """For each moment the row of the newest bar that has opened by then; −1 before all."""
        if self.ts is moments:
            return np.arange(moments.size)
        return np.searchsorted(self.ts, moments, side="right") - 1

    def last_close(self, moments: Ints) -> Floats:
        """The newest close at each moment; 0 before the first bar."""
        if self.ts is moments:
            return self.close
        rows = self.at_or_before(moments)
        return np.where(rows >= 0, self.close[rows], 0.0)


@dataclass(frozen=True)
class Rules:
    """How decisions become fills."""

    cash: float
    costs: Costs
    interval: str
    fill: str = "next_open"
    max_position: float = 1.0
    band: float = 0.0


@dataclass(frozen=True)
class Simulation:
    """What happened: fills in order, and the account at the close of every bar."""

    fills: list[Fill]
    account: Account
    ts: Ints
    equity: Floats
    cash: Floats
    exposure: Floats


def simulate(markets: Sequence[Market], rules: Rules, start: int) -> Simulation:
    """Trade the targets of bars that open from `start` on; earlier rows are history only.

    `markets` come sorted by symbol.
    """
    groups = _groups(markets, rules, start)
    moments = np.array(list(groups), dtype=np.int64)
    marks = _marks(markets, moments, rules.fill)
    account, fills = Account(rules.cash), []
    states = [account]
    for row, (moment, intents) in enumerate(groups.items()):
        known = {one.symbol: float(marks[i, row]) for i, one in enumerate(markets)}
        references = {intent.symbol: known[intent.symbol] for intent in intents}
        ts = moment if rules.fill == "next_open" else bar_end(moment, rules.interval)
        account, made = settle(account, intents, references, known, ts, rules.costs)
        states.append(account)
        fills += made
    return _curve(markets, start, moments, states, fills)


def buy_and_hold(markets: Sequence[Market], start: int, ts: Ints, cash: float) -> Floats:
    """The same cash split evenly at each symbol's first open from `start` on, then held.

    Without costs; its worth at each of `ts`.
    """
    share = cash / len(markets)
    worth = np.zeros(ts.size)
    for one in markets:
        first = int(np.searchsorted(one.ts, start))
        if first == one.ts.size:
            worth += share
            continue
        growth = one.last_close(ts) / one.open[first]
        worth += share * np.where(ts >= one.ts[first], growth, 1.0)
    return worth


def _groups(markets: Sequence[Market], rules: Rules, start: int) -> dict[int, list[Intent]]:
    """Filling bar's ts → what is to be filled there, in the order of time."""
    events: list[tuple[int, Intent]] = []
    for one in markets:
        first = int(np.searchsorted(one.ts, start))
        targets = np.minimum(one.target[first:], rules.max_position)
        for row in (first + changes(targets, rules.band)).tolist():
            if row + 1 < one.ts.size:  # a decision at the last bar has no bar to be filled at
                target = min(float(one.target[row]), rules.max_position)
                decided = bar_end(int(one.ts[row]), rules.interval)
                events.append((int(one.ts[row + 1]), Intent(one.symbol, target, decided)))
    events.sort(key=lambda event: (event[0], event[1].symbol))
    groups: dict[int, list[Intent]] = {}
    for ts, intent in events:
        groups.setdefault(ts, []).append(intent)
    return groups


def _marks(markets: Sequence[Market], moments: Ints, fill: str) -> Floats:
    """(symbol × moment): the price of the bar that fills there, else the last close before."""
    table = np.zeros((len(markets), moments.size))
    for i, one in enumerate(markets):
        rows = one.at_or_before(moments)
        filling = one.open if fill == "next_open" else one.close
        prices = np.where(one.ts[rows] == moments, filling[rows], one.close[rows])
        table[i] = np.where(rows >= 0, prices, 0.0)
    return table


def _curve(
    markets: Sequence[Market],
    start: int,
    moments: Ints,
    states: Sequence[Account],
    fills: list[Fill],
) -> Simulation:
    """The account at the close of every bar: constant between fills, valued at the last closes."""
    ts = _moments_of(markets, start)
    lengths = np.diff(np.concatenate(([0], np.searchsorted(ts, moments), [ts.size])))
    cash = np.repeat(np.array([state.cash for state in states]), lengths)
    held = np.zeros(ts.size)
    for one in markets:
        positions = np.array([state.held(one.symbol) for state in states])
        if positions.any():
            worth = np.repeat(positions, lengths)
            worth *= one.last_close(ts)
            held += worth
    equity = cash + held
    invested = np.divide(held, equity, out=held, where=equity > 0)  # nothing held: 0 stays 0
    return Simulation(fills, states[-1], ts, equity, cash, invested)


def _moments_of(markets: Sequence[Market], start: int) -> npt.NDArray[np.int64]:
    """Every moment from `start` on at which some market has a bar."""
    each = [one.ts[np.searchsorted(one.ts, start) :] for one in markets]
    if len(each) > 1:
        return np.unique(np.concatenate(each))
    return markets[0].ts if each[0].size == markets[0].ts.size else each[0]
