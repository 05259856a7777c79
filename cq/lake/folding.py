"""Finer bars in memory made into coarser ones, array by array: what `resampled` says, to the bit.

A reduction over runs of an array costs half a nanosecond a row, a group-by several.
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


def fold(blocks: Sequence[Block], interval: str) -> dict[str, Array] | None:
    """Bars of `interval`, of a fixed length, from finer bars of one symbol that come oldest first.

    None where arrays cannot say what `resampled` does: without rows, or volumes that floats cannot
    sum without rounding in between.
    """
    if not blocks:
        return None
    length, grid = interval_ns(interval), offset(interval)
    room = np.empty(max(one["ts"].size for one in blocks), np.int64)
    each, runs, counts = [], [], []
    for one in blocks:
        starts, number = _runs(one["ts"], length, grid, room)
        runs.append(starts)
        each.append(number)
        counts.append(np.diff(starts, append=one["ts"].size))
    number = np.concatenate(each)
    joined = _starts(number)  # a bucket may go on in the next block
    found = {"ts": number[joined] * length + grid}
    for name, way in WAYS.items():
        if name in blocks[0]:
            halves = [way(one[name], starts) for one, starts in zip(blocks, runs, strict=True)]
            found[name] = way(np.concatenate(halves), joined)
    if "volume" in blocks[0]:
        volumes = [one["volume"] for one in blocks]
        rows = int(np.add.reduceat(np.concatenate(counts), joined).max())
        coarse = _coarse([_bounds(one, room) for one in volumes], rows)
        if coarse is None:
            return None
        sums = [_sums(one, starts, coarse, room) for one, starts in zip(volumes, runs, strict=True)]
        above, below = (np.add.reduceat(one, joined) for one in np.concatenate(sums, axis=1))
        found["volume"] = above + below
    return found


def frame_of(columns: Mapping[str, Array]) -> pl.DataFrame:
    """The same as rows."""
    return pl.DataFrame([pl.Series(name, column) for name, column in columns.items()])


def _runs(ts: Array, length: int, grid: int, room: Array) -> tuple[Array, Array]:
    """Where another bucket begins, and the number of each of those buckets."""
    if (steady := _step(ts, room)) and length % steady == 0:
        first = (length - (int(ts[0]) - grid) % length + steady - 1) // steady
        starts = np.append(0, np.arange(first, ts.size, length // steady))
        return starts, (ts[starts] - grid) // length
    numbers = np.subtract(ts, grid, out=room[: ts.size])
    np.floor_divide(numbers, length, out=numbers)
    starts = _starts(numbers)
    return starts, numbers[starts]


def _step(ts: Array, room: Array) -> int:
    """The time from each row to the next where it is always the same, else 0."""
    if ts.size < 2:
        return 0
    steps = np.subtract(ts[1:], ts[:-1], out=room[: ts.size - 1])
    return int(steps[0]) if steps[0] > 0 and (steps == steps[0]).all() else 0


def _starts(numbers: Array) -> Array:
    """Where another number begins."""
    return np.concatenate(([0], np.flatnonzero(numbers[1:] != numbers[:-1]) + 1))


def _sums(volumes: Array, starts: Array, coarse: float, room: Array) -> Array:
    """The sums of what is rounded to the coarse grain, and of the rests: exact both."""
    part = room[: volumes.size].view(np.float64)
    np.add(volumes, coarse, out=part)
    part -= coarse
    above = np.add.reduceat(part, starts)
    return np.stack((above, np.add.reduceat(np.subtract(volumes, part, out=part), starts)))


def _bounds(volumes: Array, room: Array) -> tuple[float, float]:
    """The least amount above zero and the greatest; zeros where all are, NaN where one is below.

    A float that is not negative is the greater, the greater its bits are as a whole number.
    """
    bits = volumes.view(np.int64)
    least, greatest = bits.min(), bits.max()
    if least < 0:
        return math.nan, math.nan
    if least == 0 < greatest:  # with one less, zeros are the greatest
        less = room[: bits.size].view(np.uint64)
        least = np.subtract(bits.view(np.uint64), np.uint64(1), out=less).min() + np.uint64(1)
    return float(least.view(np.float64)), float(greatest.view(np.float64))


def _coarse(bounds: Sequence[tuple[float, float]], rows: int) -> float | None:
    """What rounds each amount so that sums of as many as `rows`, and of the rests, are exact.

    Adding 2^c leaves whole multiples of 2^(c−52). With every amount below 2^e and fewer than 2^n of
    them, c = n + e: their sum has 53 bits above that grain; the rests are at most half a grain, and
    have all their bits at or above the last one of the least amount. Adding both rounds once.
    """
    if not all(greatest < LARGE for _, greatest in bounds):
        return None
    greatest = max(one for _, one in bounds)
    least = min((one for one, _ in bounds if one), default=greatest)
    above, below, many = math.frexp(greatest)[1], math.frexp(least)[1], rows.bit_length()
    if greatest and (least < SMALLEST or 2**many * greatest > LARGE):
        return None
    return 2.0 ** (many + above) if 2 * many + above <= 53 + below else None
