"""Sums whose bits do not depend on who adds: numpy here, machine code in sweeps.

Value i goes to lane i modulo 64, in order; then the lanes are added, first to last. numpy's own sum
and BLAS add in an order of their own, which may differ between versions and machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cq.backtest.intents import Floats

LANES: Final = 64


def total(values: Floats | Sequence[float]) -> float:
    """The sum of the values; 0 of none."""
    rows = np.asarray(values, dtype=np.float64)
    whole = rows.size - rows.size % LANES
    lanes = np.add.reduce(rows[:whole].reshape(-1, LANES), axis=0)
    lanes[: rows.size - whole] += rows[whole:]
    found = 0.0
    for lane in lanes.tolist():
        found += lane
    return found


def mean(values: Floats | Sequence[float]) -> float:
    """The mean of the values, of which there is at least one."""
    return total(values) / len(values)
