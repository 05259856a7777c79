"""Metrics of closed round trips: what one of them is worth, and how they follow each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from cq.backtest.metrics import Metrics, Trip
from cq.backtest.risk import deviation, ratio
from cq.backtest.sums import mean, total
from cq.utils.time import DAY


def of_trips(trips: Sequence[Trip]) -> Metrics:
    """What round trips made; None where there are none, or none of the kind that is asked for."""
    profits = [one.profit for one in trips]
    gains = total([one for one in profits if one > 0])
    losses = -total([one for one in profits if one < 0])
    varies = deviation(np.array(profits))
    times = [(one.closed_ts - one.opened_ts) / DAY for one in trips]
    return {
        "profit_factor": ratio(gains, losses),
        "expectancy": mean(profits) if profits else None,
        "sqn": ratio(math.sqrt(len(profits)) * mean(profits), varies) if varies else None,
        "win_streak": longest(profits, won=True),
        "loss_streak": longest(profits, won=False),
        "best_trip": max(profits, default=None),
        "worst_trip": min(profits, default=None),
        "holding_days": mean(times) if times else None,
    }


def longest(profits: Sequence[float], *, won: bool) -> int:
    """How many profits in a row are above zero, or are not."""
    runs = groupby(profits, key=lambda one: one > 0)
    return max((sum(1 for _ in run) for kind, run in runs if kind is won), default=0)
