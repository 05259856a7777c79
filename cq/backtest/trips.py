"""Metrics of closed round trips: what one of them is worth, and how they follow each other."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cq.backtest.metrics import Metrics
from cq.backtest.risk import deviation, ratio
from cq.backtest.rounds import Trips
from cq.backtest.sums import mean, total
from cq.utils.time import DAY


def of_trips(trips: Trips) -> Metrics:
    """What round trips made; None where there are none, or none of the kind that is asked for."""
    profits = trips.profit
    gains, losses = total(profits[profits > 0]), -total(profits[profits < 0])
    varies, count = deviation(profits), profits.size
    times = [one / DAY for one in (trips.closed_ts - trips.opened_ts).tolist()]
    return {
        "profit_factor": ratio(gains, losses),
        "expectancy": mean(profits) if count else None,
        "sqn": ratio(math.sqrt(count) * mean(profits), varies) if varies else None,
        "win_streak": longest(profits > 0),
        "loss_streak": longest(profits <= 0),
        "best_trip": float(profits.max()) if count else None,
        "worst_trip": float(profits.min()) if count else None,
        "holding_days": mean(times) if times else None,
    }


def longest(held: npt.NDArray[np.bool_]) -> int:
    """How many in a row are true."""
    edges = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
    return int(np.diff(edges)[::2].max(initial=0))
