"""Finer bars in memory made into coarser ones, array by array: what `resampled` says, to the bit.

A reduction over runs of an array costs half a nanosecond a row, a group-by several; decoding the
rows costs more than both, and goes on meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.lake.resample import LARGE, SMALLEST, offset
from cq.utils.time import interval_ns

Array = npt.NDArray[Any]
Block = Mapping[str, Array]
"""Columns of as many rows, each as it lies in memory."""


def _first(column: Array, starts: Array) -> Array:
    return column.take(starts)


def _last(column: Array, starts: Array) -> Array:
    return column.take(np.append(starts[1:], column.size) - 1)


WAYS: Final[Mapping[str, Callable[[Array, Array], Array]]] = {
    "open": _first, "high": np.fmax.reduceat, "low": np.fmin.reduceat, "close": _last,
}  # fmt: skip
"""What a bar takes from the rows of a bucket; the same again makes one of two halves of it."""


def blocks_of(rows: pl.DataFrame) -> list[Block]:
    """The rows as they lie in memory; none where a value is missing, which arrays do not tell."""
    if not rows.height or any(rows.null_count().row(0)):
        return []
    blocks: list[Block] = []
    start = 0
    for length in rows["ts"].chunk_lengths():
        part = rows.slice(start, length)
        blocks.append({one.name: one.to_numpy() for one in part.get_columns()})
        start += length
    return blocks


def folded(blocks: Sequence[Block], interval: str) -> dict[str, Array] | None:
    """Bars of `interval`, of a fixed length, from finer bars of one symbol that come oldest first.

    None where arrays cannot say what `resampled` does: without rows, or volumes that floats cannot
    sum without rounding in between. Nothing here needs Polars, so that it can go on beside it.
    """
    if not blocks:
        return None
    length, grid = interval_ns(interval), offset(interval)
    numbers = [(one["ts"] - grid if grid else one["ts"]) // length for one in blocks]
    runs = [_starts(one) for one in numbers]
    number = np.concatenate([one[starts] for one, starts in zip(numbers, runs, strict=True)])
    joined = _starts(number)  # a bucket may go on in the next block
    found = {"ts": number[joined] * length + grid}
    for name, way in WAYS.items():
        if name in blocks[0]:
            each = [way(one[name], starts) for one, starts in zip(blocks, runs, strict=True)]
            found[name] = way(np.concatenate(each), joined)
    if "volume" in blocks[0]:
        counts = [np.diff(s, append=one.size) for s, one in zip(runs, numbers, strict=True)]
        rows = int(np.add.reduceat(np.concatenate(counts), joined).max())
        coarse = _coarse([one["volume"] for one in blocks], rows)
        if coarse is None:
            return None
        sums = [
            _sums(one["volume"], starts, coarse) for one, starts in zip(blocks, runs, strict=True)
        ]
        above, below = (np.add.reduceat(one, joined) for one in np.concatenate(sums, axis=1))
        found["volume"] = above + below
    return found


def _starts(numbers: Array) -> Array:
    """Where another number begins."""
    return np.concatenate(([0], np.flatnonzero(numbers[1:] != numbers[:-1]) + 1))


def _sums(volumes: Array, starts: Array, coarse: float) -> Array:
    """The sums of what is rounded to the coarse grain, and of the rests: exact both."""
    upper = volumes + coarse
    upper -= coarse
    above = np.add.reduceat(upper, starts)
    return np.stack((above, np.add.reduceat(np.subtract(volumes, upper, out=upper), starts)))


def _coarse(volumes: Sequence[Array], rows: int) -> float | None:
    """What rounds each amount so that sums of as many as `rows`, and of the rests, are exact.

    Adding 2^c leaves whole multiples of 2^(c−52). With every amount below 2^e and fewer than 2^n of
    them, c = n + e: their sum has 53 bits above that grain; the rests are at most half a grain, and
    have all their bits at or above the last one of the least amount. Adding both rounds once.
    """
    greatest = max(float(one.max()) for one in volumes)
    if not (min(float(one.min()) for one in volumes) >= 0 and greatest < LARGE):
        return None
    # one less than the bits of a float, as a whole number: zero becomes the greatest
    bits = min(int((one.view(np.uint64) - np.uint64(1)).min()) for one in volumes)
    least = float(np.uint64((bits + 1) % 2**64).view(np.float64)) or greatest
    above, below, many = math.frexp(greatest)[1], math.frexp(least)[1], rows.bit_length()
    if greatest and (least < SMALLEST or 2**many * greatest > LARGE):
        return None
    return 2.0 ** (many + above) if 2 * many + above <= 53 + below else None
