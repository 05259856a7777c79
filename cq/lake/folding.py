"""Finer bars made into coarser ones, array by array: what `resampled` says, to the bit.

A reduction over runs of an array costs half a nanosecond a row, a group-by several. Each block of
rows is folded by itself, a column after the other, while what was decoded last is still warm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.lake.resample import LARGE, SMALLEST, offset
from cq.utils.time import interval_ns

Array = npt.NDArray[Any]
Block = Callable[[str], Array]
"""The columns of some rows by name, as many values each, of which none is missing."""

Columns = dict[str, Array] | None
"""Columns of bars; None where arrays cannot say what they are: no rows, or volumes that floats
cannot sum without rounding in between."""


def _first(column: Array, starts: Array) -> Array:
    return column.take(starts)


def _last(column: Array, starts: Array) -> Array:
    found = np.empty(starts.size, column.dtype)
    found[:-1], found[-1] = column[starts[1:] - 1], column[-1]
    return found


WAYS: Final[Mapping[str, Callable[[Array, Array], Array]]] = {
    "open": _first, "high": np.fmax.reduceat, "low": np.fmin.reduceat, "close": _last,
}  # fmt: skip
"""What a bar takes from the rows of a bucket; the same again makes one of two halves of it."""


@dataclass(frozen=True)
class Partial:
    """The bars of one block; what the first and the last lack may be in the blocks beside it."""

    number: Array
    prices: Mapping[str, Array]
    volume: Array | None
    """Three rows: sums of what is rounded to a coarse grain, to a finer one, and of the rests.

    Each is exact."""


def blocks_of(rows: pl.DataFrame) -> list[Block]:
    """The rows as they lie in memory; none where a value is missing, which arrays do not tell."""
    if not rows.height or any(rows.null_count().row(0)):
        return []
    blocks: list[Block] = []
    start = 0
    for length in rows["ts"].chunk_lengths():
        blocks.append(partial(_column, rows.slice(start, length)))
        start += length
    return blocks


def _column(rows: pl.DataFrame, name: str) -> Array:
    return rows[name].to_numpy()


def partials(
    blocks: Iterable[Block], measures: Sequence[str], interval: str
) -> Iterator[Partial | None]:
    """Of each block, of finer bars that come oldest first, the bars of an interval of fixed length.

    None where floats cannot sum its volumes without rounding in between.
    """
    length, grid = interval_ns(interval), offset(interval)
    room, rest = np.empty((2, 0), np.int64)  # what is used again need not be fetched anew
    for block in blocks:
        ts = block("ts")
        if room.size < ts.size:
            room, rest = np.empty((2, ts.size), np.int64)
        starts, number, rows = _runs(ts, length, grid, room)
        prices = {name: WAYS[name](block(name), starts) for name in measures if name in WAYS}
        if "volume" not in measures:
            yield Partial(number, prices, None)
            continue
        volume = block("volume")
        grains = _grains(*_bounds(volume, room), rows)
        sums = None if grains is None else _sums(volume, starts, grains, room, rest)
        yield None if sums is None else Partial(number, prices, sums)


def joined(found: Sequence[Partial | None], interval: str) -> Columns:
    """The bars of blocks that follow each other."""
    sure = [one for one in found if one is not None]
    if not sure or len(sure) < len(found):
        return None
    number = np.concatenate([one.number for one in sure])
    starts = _starts(number)  # a bucket may go on in the next block
    bars = {"ts": number[starts] * interval_ns(interval) + offset(interval)}
    for name in sure[0].prices:
        bars[name] = WAYS[name](np.concatenate([one.prices[name] for one in sure]), starts)
    sums = [one.volume for one in sure if one.volume is not None]
    if sums:
        every = np.concatenate(sums, axis=1)
        volume = _rounded_once(*every.take(starts, axis=1))
        for one in np.flatnonzero(np.diff(starts, append=number.size) > 1):
            halves = slice(starts[one], starts[one + 1] if one + 1 < starts.size else None)
            volume[one] = math.fsum(every[:, halves].ravel())
        if volume.max() > LARGE / 2:  # beyond it, or near, the plan may take a plain sum
            return None
        bars["volume"] = volume
    return bars


def fold(blocks: Iterable[Block], measures: Sequence[str], interval: str) -> Columns:
    """Bars of `interval` with these measures."""
    return joined(list(partials(blocks, measures, interval)), interval)


def frame_of(columns: Mapping[str, Array]) -> pl.DataFrame:
    """The same as rows."""
    return pl.DataFrame([pl.Series(name, column) for name, column in columns.items()])


def _runs(ts: Array, length: int, grid: int, room: Array) -> tuple[Array, Array, int]:
    """Where another bucket begins, the number of each of those buckets, and the most rows of one.

    `ts` are in order.
    """
    if (steady := _steady(ts, length, grid)) is not None:
        return steady
    numbers = np.subtract(ts, grid, out=room[: ts.size])
    np.floor_divide(numbers, length, out=numbers)
    starts = _starts(numbers)
    return starts, numbers[starts], int(np.diff(starts, append=ts.size).max())


def _steady(ts: Array, length: int, grid: int) -> tuple[Array, Array, int] | None:
    """The same where rows lie as far apart as the first two, or buckets begin as if they did.

    That is so where each place is the first of its bucket and the one before the last of the one
    before: nothing else has to be looked at.
    """
    step = int(ts[1] - ts[0]) if ts.size > 1 else 0
    if step <= 0 or length % step:
        return None
    each, number = length // step, (int(ts[0]) - grid) // length
    begins = (number + 1) * length + grid  # the second bucket
    first = (begins - int(ts[0]) + step - 1) // step
    starts = np.arange(first - each, ts.size, each)
    edges = np.arange(starts.size) * length + (begins - length)
    starts[0], others = 0, starts[1:]
    if (
        int(ts[-1]) >= int(edges[-1]) + length
        or not ((ts[others - 1] < edges[1:]) & (ts[others] >= edges[1:])).all()
    ):
        return None
    return starts, np.arange(number, number + starts.size), min(each, ts.size)


def _starts(numbers: Array) -> Array:
    """Where another number begins."""
    return np.concatenate(([0], np.flatnonzero(numbers[1:] != numbers[:-1]) + 1))


def _sums(
    volumes: Array, starts: Array, grains: Sequence[float], room: Array, rest: Array
) -> Array:
    """Exact sums of what is rounded to each grain, and in the last row of the rests."""
    sums, left = np.zeros((3, starts.size)), volumes
    part, other = (one[: volumes.size].view(np.float64) for one in (room, rest))
    for row, coarse in zip(sums, grains, strict=False):
        np.add(left, coarse, out=part)
        part -= coarse
        np.add.reduceat(part, starts, out=row)
        left = np.subtract(left, part, out=part)  # in place: what is used leaves the cache
        part, other = other, part
    np.add.reduceat(left, starts, out=sums[2])
    return sums


def _rounded_once(one: Array, two: Array, three: Array) -> Array:
    """The sums of three floats, each rounded once: Boldo and Melquiond, 2008.

    What is left behind the first rounding is itself rounded to odd, so that the last one knows on
    which side of a tie the sum lies.
    """
    high, low = _both(two, three)
    high, middle = _both(one, high)
    odd, error = _both(middle, low)
    bits = odd.view(np.int64)
    away = np.signbit(error) == np.signbit(odd)
    bits += np.where((error != 0.0) & (bits & 1 == 0), np.where(away, 1, -1), 0)
    return high + odd


def _both(one: Array, two: Array) -> tuple[Array, Array]:
    """A sum, and what rounding it left behind."""
    total = one + two
    back = total - one
    return total, (one - (total - back)) + (two - back)


def _bounds(volumes: Array, room: Array) -> tuple[float, float]:
    """The least amount above zero and the greatest; zeros where all are, NaN where one is below.

    A float that is not negative is the greater, the greater its bits are as a whole number.
    """
    lowest, highest = float(volumes.min()), float(volumes.max())
    if lowest > 0.0:
        return lowest, highest
    bits = volumes.view(np.int64)
    least, greatest = bits.min(), bits.max()
    if least < 0:
        return math.nan, math.nan
    if least == 0 < greatest:  # with one less, zeros are the greatest
        less = room[: bits.size].view(np.uint64)
        least = np.subtract(bits.view(np.uint64), np.uint64(1), out=less).min() + np.uint64(1)
    return float(least.view(np.float64)), float(greatest.view(np.float64))


def _grains(least: float, greatest: float, rows: int) -> tuple[float, ...] | None:
    """What rounds each amount, one after the other, so that sums of as many as `rows` are exact.

    Adding 2^c leaves whole multiples of 2^(c−52), or of half of that below 2^c. With every amount
    below 2^e and fewer than 2^n of them, c = n + e: their sum has 53 bits above that grain. The
    rests are below 2^(c−53), and have all their bits at or above the last one of the least amount;
    where sums of them have more than 53, they are parted once more. None where that is not enough.
    """
    if not greatest < LARGE:
        return None
    above, below, many = math.frexp(greatest)[1], math.frexp(least)[1], rows.bit_length()
    if greatest and (least < SMALLEST or 2**many * greatest > LARGE):
        return None
    first = many + above
    second = many + first - 53
    if many + first <= 53 + below:
        return (2.0**first,)
    return (2.0**first, 2.0**second) if many + second <= 53 + below else None
