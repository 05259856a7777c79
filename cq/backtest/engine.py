"""The engine: targets in, fills and an equity curve out; nothing but arrays and one account.

One semantics (docs/engine.md), two executions that the tests hold equal: visiting only the moments
of fills, and the loop over bars for rules whose outcome depends on the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cq.backtest.account import Account
from cq.backtest.events import count_decisions, visit_fills
from cq.backtest.grid import impact_of
from cq.backtest.intents import Floats, Ints
from cq.backtest.market import Market, Rules, last_closes
from cq.backtest.stepping import Carried, is_worth_it, loaded, step_through
from cq.backtest.steps import SHORTER, least_and_most
from cq.backtest.tape import Tape
from cq.errors import DataError
from cq.utils.time import interval_ns, iso

MANY: Final = 50_000
"""Decisions from which it pays to load the loop over bars as machine code."""


class Simulation(NamedTuple):
    """What happened: fills in order, and the account at the close of every bar.

    `carried` is what a run over later bars goes on from.
    """

    fills: Tape
    account: Account
    ts: Ints
    equity: Floats
    cash: Floats
    exposure: Floats
    carried: Carried
    borrowed: float = 0.0


def simulate(
    markets: Sequence[Market],
    rules: Rules,
    start: int,
    carried: Carried | None = None,
    *,
    by: Literal["auto", "events", "loop", "machine", "python"] = "auto",
) -> Simulation:
    """Trade the targets of bars that open from `start` on; earlier rows are history only.

    DataError where bars of two symbols overlap without opening at the same moment.
    `carried` goes on where another run over earlier bars of the same symbols ended; UsageError
    where it is of others, or of bars that are not earlier. `by` chooses the execution: all give
    the same, at different speeds.
    """
    markets = sorted(markets, key=lambda one: one.symbol)
    ts = moments_of(markets, start)
    _check_overlaps(markets, ts, rules.interval)
    looping = rules.path_dependent or carried is not None or by not in ("auto", "events")
    if not looping and by == "auto":
        looping = loaded() is not None or (
            len(markets) > 1
            and is_worth_it(len(markets) * ts.size)
            and count_decisions(markets, rules, start) > MANY
        )
    if not looping:
        return Simulation(*visit_fills(markets, rules, start, ts))
    machine = {"machine": True, "python": False}.get(by)
    inside = [_with_impact(one, rules).since(start) for one in markets]
    made = step_through(inside, rules, ts, carried, by_machine=machine)
    return Simulation(
        made.fills, made.carried.account, ts, made.equity, made.cash, made.exposure,
        made.carried, made.carried.borrowed,
    )  # fmt: skip


def _check_overlaps(markets: Sequence[Market], ts: Ints, interval: str) -> None:
    """DataError where a bar of one symbol opens within that of another.

    All that opens at one moment is over before the next: its close would be known too early.
    """
    apart = SHORTER * interval_ns(interval)
    if len(markets) < 2 or ts is markets[0].ts or least_and_most(ts)[0] >= apart:
        return
    near = np.flatnonzero(np.diff(ts) < apart)
    early, late = (np.array([np.isin(ts[near + k], one.ts) for one in markets]) for k in (0, 1))
    several = np.flatnonzero((early | late).sum(axis=0) > 1)  # a symbol's own bars are left to it
    if not several.size:
        return
    at = several[0]
    pairs = product(*(np.flatnonzero(found[:, at]).tolist() for found in (early, late)))
    one, other = next((markets[a].symbol, markets[b].symbol) for a, b in pairs if a != b)
    first, then = (iso(int(ts[near[at] + k])) for k in (0, 1))
    raise DataError(
        f"a bar of {one} opens at {first} and one of {other} at {then}, within it; bars of "
        f"{interval} of all symbols have to open at the same moments: make both of finer bars, or "
        "trade each on its own"
    )


def _with_impact(market: Market, rules: Rules) -> Market:
    costs = rules.costs
    if costs.impact is None or market.impact is not None:
        return market
    assert market.volume is not None
    window = costs.impact_window or 2
    found = impact_of(market.close, market.volume, costs.impact, window)
    return replace(market, impact=found)


def buy_and_hold(markets: Sequence[Market], start: int, ts: Ints, cash: float) -> Floats:
    """The same cash split evenly at each symbol's first open from `start` on, then held.

    Without costs; its worth at each of `ts`.
    """
    share = cash / len(markets)
    worth = np.zeros(ts.size)
    for one, close in zip(markets, last_closes(markets, ts), strict=True):
        first = int(np.searchsorted(one.ts, start))
        if first == one.ts.size:
            worth += share
            continue
        growth = close / one.open[first]
        worth += share * np.where(ts >= one.ts[first], growth, 1.0)
    return worth


def moments_of(markets: Sequence[Market], start: int) -> npt.NDArray[np.int64]:
    """Every moment from `start` on at which some market has a bar."""
    firsts = [int(np.searchsorted(one.ts, start)) for one in markets]
    each = [one.ts[at:] if at else one.ts for one, at in zip(markets, firsts, strict=True)]
    if all(one is each[0] or np.array_equal(one, each[0]) for one in each[1:]):
        return each[0]
    return np.unique(np.concatenate(each))
