"""What a run achieved, in numbers that say how they are defined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cq.backtest.account import Fill
from cq.backtest.grid import fixed
from cq.backtest.intents import Floats, Ints
from cq.backtest.rounds import Trips
from cq.backtest.stepping import loaded
from cq.backtest.sums import LANES, mean, total
from cq.backtest.tape import Tape
from cq.backtest.tiles import TILE
from cq.utils.time import YEAR, bar_end, bars_per_year, interval_ns

Metrics = dict[str, float | int | None]


def metrics(
    ts: Ints,
    equity: Floats,
    exposure: Floats,
    fills: Sequence[Fill],
    *,
    cash: float,
    interval: str,
    held: float,
    trips: Trips | None = None,
    told: Told | None = None,
) -> Metrics:
    """The first of a run's numbers, which sweeps keep of each trial; None where one has no value.

    `held` is what the same cash would be worth at the end, bought and held; `trips` are the round
    trips of the fills, `told` what the curve adds up to, where they are known.
    """
    if told is None:
        told = told_of(equity, exposure, cash)
    growth = float(equity[-1]) / cash - 1
    period = years_of(ts, interval)
    tape, usual = Tape.of(fills), told.equity / ts.size
    profits = (Trips.of(tape) if trips is None else trips).profit
    return {
        "total_return": growth,
        "buy_and_hold": held / cash - 1,
        "annualized_return": annualized(growth, period),
        "sharpe": sharpe_of(told.returned, told.squared, bars_of(ts, interval), interval),
        "max_dd": told.max_dd,
        "hit_rate": hit_rate(profits),
        "payoff": payoff(profits),
        "turnover": total(tape.qty * tape.price) / usual / period if usual > 0 else None,
        "trades": len(tape),
        "round_trips": len(profits),
        "fees": total(tape.fee),
        "slippage": total(tape.slippage),
        "exposure": told.exposure / ts.size,
    }


def finite(value: float | None) -> float | None:
    """The value, or None where it is no number: JSON has none of those, and nothing counts them."""
    return value if value is None or math.isfinite(value) else None


class Told(NamedTuple):
    """Sums over the bars of a curve, its deepest fall, and at how many of them anything is held."""

    returned: float
    squared: float
    equity: float
    exposure: float
    max_dd: float
    held: float


def told_of(equity: Floats, exposure: Floats, cash: float) -> Told:
    """What the curve of a run that began with `cash` adds up to."""
    code = loaded()
    if code is None:
        return Told(
            *_returned(equity, cash),
            total(equity),
            total(exposure),
            max_drawdown(equity, cash),
            float(np.count_nonzero(exposure)),
        )
    tile, found = np.zeros((3, TILE)), np.zeros(len(Told._fields))
    lanes = np.zeros((4, LANES))
    code.told(fixed(equity), fixed(exposure), cash, lanes, tile, tile.reshape(3, -1, LANES), found)
    return Told(*found.tolist())


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
    return sharpe_of(*_returned(equity, cash), bars_of(ts, interval), interval)


def _returned(equity: Floats, cash: float) -> tuple[float, float]:
    """The sums of the returns and of their squares."""
    returns = np.empty_like(equity)
    returns[0] = equity[0] / cash
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(equity[1:], equity[:-1], out=returns[1:])
    returns -= 1
    if equity.min() <= 0:
        returns[1:][equity[:-1] <= 0] = 0.0
    return total(returns), total(returns * returns)


def sharpe_of(returned: float, squared: float, bars: int, interval: str) -> float | None:
    """The same, from the sums of the returns and of their squares."""
    if bars < 2:
        return None
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


def hit_rate(profits: Floats | Sequence[float]) -> float | None:
    """The share of profits above zero; None when there are none."""
    found = np.asarray(profits)
    return float(np.count_nonzero(found > 0)) / found.size if found.size else None


def payoff(profits: Floats | Sequence[float]) -> float | None:
    """Mean gain over mean loss; None unless there are both."""
    found = np.asarray(profits)
    gains, losses = found[found > 0], -found[found < 0]
    if not gains.size or not losses.size:
        return None
    return mean(gains) / mean(losses)
