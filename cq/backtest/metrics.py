"""What a run achieved, in numbers that say how they are defined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cq.backtest.account import Fill
from cq.backtest.intents import Floats, Ints
from cq.backtest.sums import mean, total
from cq.utils.time import YEAR, bar_end, bars_per_year, interval_ns

Metrics = dict[str, float | int | None]


@dataclass(frozen=True)
class Trip:
    """A closed round trip of one symbol: what it made after fees, in the quote currency.

    `paid` is the value of the fills on the side that opened it.
    """

    symbol: str
    opened_ts: int
    closed_ts: int
    profit: float
    paid: float = 0.0


def metrics(
    ts: Ints,
    equity: Floats,
    exposure: Floats,
    fills: Sequence[Fill],
    *,
    cash: float,
    interval: str,
    held: float,
    trips: Sequence[Trip] | None = None,
) -> Metrics:
    """The first of a run's numbers, which sweeps keep of each trial; None where one has no value.

    `held` is what the same cash would be worth at the end, bought and held; `trips` are the round
    trips of the fills, where they are known.
    """
    growth = float(equity[-1]) / cash - 1
    period = years_of(ts, interval)
    profits = [one.profit for one in (round_trips(fills) if trips is None else trips)]
    traded, usual = total([one.qty * one.price for one in fills]), mean(equity)
    return {
        "total_return": growth,
        "buy_and_hold": held / cash - 1,
        "annualized_return": annualized(growth, period),
        "sharpe": sharpe(ts, equity, cash, interval),
        "max_dd": max_drawdown(equity, cash),
        "hit_rate": hit_rate(profits),
        "payoff": payoff(profits),
        "turnover": traded / usual / period if usual > 0 else None,
        "trades": len(fills),
        "round_trips": len(profits),
        "fees": total([one.fee for one in fills]),
        "slippage": total([one.slippage for one in fills]),
        "exposure": mean(exposure),
    }


def years_of(ts: Ints, interval: str) -> float:
    """From the first bar's open to the last bar's close."""
    return (bar_end(int(ts[-1]), interval) - int(ts[0])) / YEAR


def bars_of(ts: Ints, interval: str) -> int:
    """How many bars there are or would be, with those that are missing."""
    return max(round((int(ts[-1]) - int(ts[0])) / interval_ns(interval)) + 1, ts.size)


def annualized(total: float, years: float) -> float | None:
    """The yearly growth that makes `total` in `years`; None where no float holds it."""
    if total <= -1:
        return -1.0  # shorts can lose more than there is
    try:
        return float((1 + total) ** (1 / years)) - 1
    except OverflowError:
        return None


def sharpe(ts: Ints, equity: Floats, cash: float, interval: str) -> float | None:
    """Annualised mean over deviation of one bar's returns; None when equity never moves.

    Where nothing was left (shorts can lose more than there is) the bars that follow count 0.
    """
    returns = np.empty_like(equity)
    returns[0] = equity[0] / cash
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(equity[1:], equity[:-1], out=returns[1:])
    returns -= 1
    if equity.min() <= 0:
        returns[1:][equity[:-1] <= 0] = 0.0
    bars = bars_of(ts, interval)
    if bars < 2:
        return None
    return sharpe_of(total(returns), total(returns * returns), bars, interval)


def sharpe_of(returned: float, squared: float, bars: int, interval: str) -> float | None:
    """The same, from the sums of the returns and of their squares."""
    usual = returned / bars
    spread = squared - bars * usual * usual
    deviation = math.sqrt(max(spread, 0.0) / (bars - 1))
    if deviation <= 1e-12 * abs(usual) or deviation == 0:
        return None
    return usual / deviation * math.sqrt(bars_per_year(interval))


def drawdown(equity: Floats, cash: float) -> Floats:
    """How far equity lies below its highest point so far (starting cash included), ≤ 0."""
    peak = np.maximum.accumulate(equity)
    np.maximum(peak, cash, out=peak)
    np.divide(equity, peak, out=peak)
    peak -= 1
    return peak


def max_drawdown(equity: Floats, cash: float) -> float:
    """The deepest drawdown, as a negative fraction; 0 when equity never fell."""
    return min(float(drawdown(equity, cash).min()), 0.0)


def round_trips(fills: Sequence[Fill]) -> list[Trip]:
    """Closed round trips in the order in which they closed."""
    opened: dict[str, tuple[int, str]] = {}
    paid: dict[str, float] = {}
    held: dict[str, float] = {}
    flows: dict[str, float] = {}
    closed: list[Trip] = []
    for one in fills:
        sign = 1 if one.side == "buy" else -1
        _, side = opened.setdefault(one.symbol, (one.ts, one.side))
        if one.side == side:
            paid[one.symbol] = paid.get(one.symbol, 0.0) + one.qty * one.price
        held[one.symbol] = held.get(one.symbol, 0.0) + sign * one.qty
        flow = flows.get(one.symbol, 0.0) - sign * one.qty * one.price - one.fee
        flows[one.symbol] = flow
        if abs(held[one.symbol]) <= 1e-9 * one.qty:
            since, _ = opened.pop(one.symbol)
            closed.append(Trip(one.symbol, since, one.ts, flow, paid[one.symbol]))
            del held[one.symbol], flows[one.symbol], paid[one.symbol]
    return closed


def hit_rate(profits: Sequence[float]) -> float | None:
    """The share of profits above zero; None when there are none."""
    return sum(one > 0 for one in profits) / len(profits) if profits else None


def payoff(profits: Sequence[float]) -> float | None:
    """Mean gain over mean loss; None unless there are both."""
    gains = [one for one in profits if one > 0]
    losses = [-one for one in profits if one < 0]
    if not gains or not losses:
        return None
    return mean(gains) / mean(losses)
