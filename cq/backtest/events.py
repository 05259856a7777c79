"""Trades without a loop over bars: only the moments at which something is filled are visited.

Decisions are found by comparing columns, the curve is built in steps between fills. It serves rules
under which nothing that happens within a bar, or to a fill, changes what is decided next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cq.backtest.account import Account, Fill, Intent, settle
from cq.backtest.intents import Floats, Ints, changes
from cq.backtest.market import Market, Rules
from cq.backtest.tape import Tape
from cq.utils.time import bar_end


class Visited(NamedTuple):
    """What the fills left, as `Simulation` begins: the account at the close of every bar."""

    fills: Tape
    account: Account
    ts: Ints
    equity: Floats
    cash: Floats
    exposure: Floats


def visit_fills(markets: Sequence[Market], rules: Rules, start: int, ts: Ints) -> Visited:
    """Trade the moments `ts`, of bars that open from `start` on."""
    groups = _groups(markets, rules, start)
    moments = np.array(list(groups), dtype=np.int64)
    marks = _marks(markets, moments, rules.fill)
    account, fills = Account(rules.cash), []
    states = [account]
    for row, (moment, intents) in enumerate(groups.items()):
        known = {one.symbol: float(marks[i, row]) for i, one in enumerate(markets)}
        references = {intent.symbol: known[intent.symbol] for intent in intents}
        at_close = rules.fill != "next_open"
        when = bar_end(moment, rules.interval) if at_close else moment
        costs = rules.costs.at(when)
        account, made = settle(account, intents, references, known, when, costs, at_close=at_close)
        states.append(account)
        fills += made
    return _curve(markets, ts, moments, states, fills)


def count_decisions(markets: Sequence[Market], rules: Rules, start: int) -> int:
    """How many intents there are."""
    return sum(_decided(one, rules, start)[0].size for one in markets)


def _decided(market: Market, rules: Rules, start: int) -> tuple[Ints, Floats]:
    """The rows at which `market` is decided, and to what."""
    first = int(np.searchsorted(market.ts, start))
    targets = np.clip(market.target[first:], 0.0, rules.max_position)
    act = None if market.act is None else market.act[first:]
    rows = changes(targets, rules.band, act)
    return first + rows, targets[rows]


def _groups(markets: Sequence[Market], rules: Rules, start: int) -> dict[int, list[Intent]]:
    """Filling bar's ts → what is to be filled there, in the order of time."""
    events: list[tuple[int, Intent]] = []
    later = 1 + rules.latency
    for one in markets:
        rows, targets = _decided(one, rules, start)
        for row, target in zip(rows.tolist(), targets.tolist(), strict=True):
            if row + later < one.ts.size:  # near the end there is no bar to be filled at
                decided = bar_end(int(one.ts[row]), rules.interval)
                events.append((int(one.ts[row + later]), Intent(one.symbol, target, decided)))
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
    ts: Ints,
    moments: Ints,
    states: Sequence[Account],
    fills: list[Fill],
) -> Visited:
    """The account at the close of every bar: constant between fills, valued at the last closes."""
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
    return Visited(Tape.of(fills), states[-1], ts, equity, cash, invested)
