"""What each symbol added to a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cq.backtest import BacktestResult
from cq.backtest.metrics import hit_rate
from cq.backtest.rounds import Trip


@dataclass(frozen=True)
class Share:
    """One symbol: what it made after costs, open position included, and how."""

    symbol: str
    profit: float
    trades: int
    round_trips: int
    hit_rate: float | None
    fees: float
    slippage: float
    value: float
    held: float
    market: float | None


def shares(result: BacktestResult, trips: Sequence[Trip]) -> list[Share]:
    """One a symbol, by name; their profits add up to the run's, borrowing aside.

    `value` is what was traded, `held` what the position is worth at the end, `market` the growth of
    the symbol from its first open in the period to its last close.
    """
    end = result.equity["ts"].to_numpy()[-1:]
    start = int(result.equity["ts"][0])
    found = []
    for one in result.markets:
        rows = result.trades.filter(result.trades["symbol"] == one.symbol)
        sign = np.where(rows["side"].to_numpy() == "buy", 1.0, -1.0)
        qty, price, fee = (rows[name].to_numpy() for name in ("qty", "price", "fee"))
        held = float((sign * qty).sum())
        if abs(held) < 1e-9 * float(np.abs(qty).max(initial=0.0)):
            held = 0.0
        worth = held * float(one.last_close(end)[0])
        first = int(np.searchsorted(one.ts, start))
        known = first < one.ts.size
        mine = [trip.profit for trip in trips if trip.symbol == one.symbol]
        found.append(
            Share(
                one.symbol,
                profit=worth - float((sign * qty * price + fee).sum()),
                trades=rows.height,
                round_trips=len(mine),
                hit_rate=hit_rate(mine),
                fees=float(fee.sum()),
                slippage=float(rows["slippage"].sum()),
                value=float((qty * price).sum()),
                held=worth,
                market=float(one.close[-1] / one.open[first]) - 1 if known else None,
            )
        )
    return found
