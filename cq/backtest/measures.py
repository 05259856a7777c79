"""Every metric of a run, from what happened; docs/metrics.md and `cq metrics` define them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cq.backtest.days import Days, equal_weight, growth
from cq.backtest.definitions import METRICS
from cq.backtest.engine import Simulation, buy_and_hold
from cq.backtest.market import Market
from cq.backtest.metrics import Metrics, finite, metrics, told_of
from cq.backtest.risk import against, falls, luck, ratio, spread, tails
from cq.backtest.rounds import Trips
from cq.backtest.trips import of_trips


def measured(made: Simulation, markets: Sequence[Market], cash: float, interval: str) -> Metrics:
    """The numbers of METRICS, in their order; None where one has no value, and never NaN."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = _measured(made, markets, cash, interval)
    return {one.name: finite(found[one.name]) for one in METRICS}


def _measured(made: Simulation, markets: Sequence[Market], cash: float, interval: str) -> Metrics:
    days, start = Days.of(made.ts, interval), int(made.ts[0])
    held = buy_and_hold(markets, start, days.ts, cash)
    equal = equal_weight(markets, start, days, cash)
    trips = Trips.of(made.fills)
    told = told_of(made.equity, made.exposure, cash)
    core = metrics(
        made.ts, made.equity, made.exposure, made.fills,
        cash=cash, interval=interval, held=float(held[-1]), trips=trips, told=told,
    )  # fmt: skip
    equity = made.equity[days.rows]
    returns, year = growth(equity, cash), days.per_year
    found = (
        core
        | spread(returns, year)
        | falls(equity, cash, days.length)
        | tails(returns)
        | luck(returns, days.length)
        | of_trips(trips)
        | against(returns, growth(held, cash), year, "hold")
        | against(returns, growth(equal, cash), year, "equal")
    )
    yearly, deepest = found["annualized_return"], found["max_dd"]
    return found | {
        "equal_weight": float(equal[-1]) / cash - 1,
        "cagr": yearly,
        "calmar": ratio(yearly, abs(deepest or 0.0)),
        "martin": ratio(yearly, found["ulcer"]),
        "costs": ((found["fees"] or 0.0) + (found["slippage"] or 0.0)) / cash,
        "time_in_market": (told.held + (_owing(made) if told.max_dd <= -1 else 0)) / made.ts.size,
    }


def _owing(made: Simulation) -> int:
    """At how many closes something is held while nothing is left, so that no exposure tells it."""
    return int(np.count_nonzero((made.exposure == 0) & (made.equity != made.cash)))
