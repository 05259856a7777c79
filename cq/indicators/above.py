"""Whether one plain mean lies above another, in whole numbers: no rounding, on any machine.

Means are not divided but compared crosswise, Σ fast × slow > Σ slow × fast, of prices in fixed
point. That does not change where all prices are lowered alike, so that what is summed is how far
prices lie above the lowest nearby: 64 bits hold it, but of the wildest markets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.indicators.arrays import Array
from cq.indicators.columns import DECIMALS

BLOCK: Final = 32_768
"""Bars at a time, so that what is being worked on stays near the processor."""
LIMIT: Final = 2**63

Ints = npt.NDArray[np.int64]


def above(arrays: Sequence[Array], fast: int, slow: int) -> pl.Series:
    """Whether the mean of the last `fast` values lies above that of the last `slow`.

    Null before the first windows are full, and where one of them holds a NaN.
    """
    (values,), window = arrays, max(fast, slow)
    runs, size = max(len(values) - window + 1, 0), max(BLOCK, 4 * window)
    found, broken = np.zeros(runs, dtype=np.bool_), None
    for start in range(0, runs, size):
        block = slice(start, min(start + size, runs))
        near = values[start : block.stop + window - 1]
        scaled = near * 10.0**DECIMALS
        np.rint(scaled, out=scaled)
        if np.isnan(lowest := scaled.min()):
            holes = np.isnan(scaled)
            broken = np.zeros(runs, dtype=np.bool_) if broken is None else broken
            broken[block] = summed(holes.astype(np.int64), window, 1)[0] > 0
            lowest = 0.0 if holes.all() else np.nanmin(scaled)
            scaled[holes] = lowest
        found[block] = _compared(scaled, lowest, fast, slow)
    known = pl.Series(found)
    if broken is not None:
        known = pl.select(pl.when(~pl.Series(broken)).then(known)).to_series()
    return pl.Series([None], dtype=pl.Boolean).new_from_index(0, len(values) - runs).extend(known)


def _compared(scaled: Array, lowest: float, fast: int, slow: int) -> Any:
    """The same of one block of prices in fixed point, from its first full windows on."""
    highest = scaled.max()
    if not -LIMIT < lowest <= highest < LIMIT:
        raise OverflowError("conversion from floats to whole numbers: 9.2e10 is the most")
    spread = int(highest) - int(lowest)
    units: Any = scaled.astype(np.int64)
    if spread * max(fast, slow) >= LIMIT:
        units = units.astype(object)
    units -= int(lowest)
    one, other = summed(units, fast, slow)
    if units.dtype != object and spread * fast * slow >= LIMIT:
        return _widely(one, fast, other, slow)
    return one * slow > other * fast


def summed(units: Any, fast: int, slow: int) -> tuple[Any, Any]:
    """The sums of the last `fast` and of the last `slow` units, where both windows are full."""
    sums = np.zeros(len(units) + 1, dtype=units.dtype)
    np.cumsum(units, out=sums[1:])
    size, last = len(units) - max(fast, slow) + 1, len(sums)
    ends = sums[last - size :]
    one, other = (ends - sums[last - size - window : last - window] for window in (fast, slow))
    return one, other


def _widely(one: Ints, fast: int, other: Ints, slow: int) -> Any:
    """one × slow > other × fast where 64 bits do not hold the products.

    Their difference wraps, and is right all the same unless it is immense; floats tell where.
    """
    apart = one * slow - other * fast
    about = one.astype(np.float64) * slow - other.astype(np.float64) * fast
    return np.where(np.abs(about) < LIMIT / 2, apart > 0, about > 0)
