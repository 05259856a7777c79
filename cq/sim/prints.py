"""Trades made out of bars, so that they add up to each bar again, exactly."""

from __future__ import annotations

import numpy as np

from cq.sim.arrays import BUY, SELL, BarArrays, Floats, Ints, TradeArrays

_NOISE = 0.12
"""How far a trade strays from the line between two turning points, as a share of the range."""


def needed(bars: BarArrays) -> Ints:
    """How many trades it takes at least to touch each bar's four prices; 0 without volume."""
    above = bars.high > np.maximum(bars.open, bars.close)
    below = bars.low < np.minimum(bars.open, bars.close)
    inside = above.astype(np.int64) + below
    least = np.where(inside > 0, 2 + inside, 1 + (bars.open != bars.close))
    return np.where(bars.volume >= least, least, 0)


def told_by(bars: BarArrays, counts: Ints) -> BarArrays:
    """The bars with wicks and bodies cut to what so few trades can tell."""
    opened = np.where(counts == 1, bars.close, bars.open)
    top, bottom = np.maximum(opened, bars.close), np.minimum(opened, bars.close)
    high = np.where(counts >= 3, bars.high, top)
    low = np.where(counts >= 4, bars.low, np.where((counts == 3) & (high == top), bars.low, bottom))
    return BarArrays(bars.ts, opened, high, low, bars.close, bars.volume)


def trades_of(
    bars: BarArrays,
    counts: Ints,
    length_ns: int,
    first_tid: int,
    random: np.random.Generator,
    lot: int = 1,
) -> TradeArrays:
    """`counts` trades of each bar, spread over its `length_ns`, ids dense from `first_tid`.

    The first prints the open, the last the close, some between them the high and the low; sizes are
    whole lots and sum to the volume. A bar needs at least as many trades as `needed` says.
    """
    bar = np.repeat(np.arange(len(counts)), counts)
    total = len(bar)
    starts = np.cumsum(counts) - counts
    place = np.arange(total) - starts[bar]
    price = _prices(bars, counts, bar, place, random)
    size = _shares(bars.volume // lot, counts, bar, random) * lot
    moment = _spread(counts, bar, length_ns, random)
    step = np.diff(price, prepend=price[:1])
    guess = np.where(random.random(total) < 0.5, BUY, SELL)
    side = np.where(step > 0, BUY, np.where(step < 0, SELL, guess)).astype(np.int64)
    tid = np.arange(first_tid, first_tid + total, dtype=np.int64)
    return TradeArrays(bars.ts[bar] + moment, tid, price, size, side)


def _prices(
    bars: BarArrays, counts: Ints, bar: Ints, place: Ints, random: np.random.Generator
) -> Ints:
    """From the open over the two extremes, in random order and at random places, to the close."""
    u, v = random.random((2, len(counts)))
    inner = np.maximum(counts - 2, 1)
    highest = 1 + (u * inner).astype(np.int64)
    lowest = 1 + (v * np.maximum(inner - 1, 1)).astype(np.int64)
    lowest += lowest >= highest
    first, second = np.minimum(highest, lowest)[bar], np.maximum(highest, lowest)[bar]
    high_first = (highest < lowest)[bar]
    high, low = bars.high[bar], bars.low[bar]
    opened, close, count = bars.open[bar], bars.close[bar], counts[bar]
    turn = np.where(high_first, high, low)
    back = np.where(high_first, low, high)
    line = np.where(
        place <= first,
        _line(opened, turn, place, first),
        np.where(
            place <= second,
            _line(turn, back, place - first, second - first),
            _line(back, close, place - second, count - 1 - second),
        ),
    )
    noise = (random.random(len(bar)) - 0.5) * 2 * _NOISE * (high - low)
    wandering = np.clip(np.rint(line + noise), low, high).astype(np.int64)
    three = np.where(high > np.maximum(opened, close), high, low)
    return np.select(
        [
            place == count - 1,
            place == 0,
            count == 3,
            place == first,
            place == second,
        ],
        [close, opened, three, turn, back],
        wandering,
    )


def _line(start: Ints, end: Ints, step: Ints, steps: Ints) -> Floats:
    share: Floats = step / np.maximum(steps, 1)
    return start + (end - start) * share


def _shares(totals: Ints, counts: Ints, bar: Ints, random: np.random.Generator) -> Ints:
    """Each bar's total cut into `counts` random whole parts of at least 1."""
    ends = np.cumsum(counts)
    reached = _reached(counts, bar, random.exponential(size=len(bar)))
    spare = (totals - counts)[bar]
    upto = np.floor(reached * spare).astype(np.int64)
    last = ends[counts > 0] - 1
    upto[last] = spare[last]
    before = np.concatenate([[0], upto[:-1]])
    before[ends[counts > 0] - counts[counts > 0]] = 0
    shares: Ints = upto - before + 1
    return shares


def _spread(counts: Ints, bar: Ints, length_ns: int, random: np.random.Generator) -> Ints:
    """Moments within the bar, in order."""
    reached = _reached(counts, bar, random.exponential(size=len(bar)))
    rest = random.exponential(size=len(counts)) / (counts + 1)
    room = np.clip(1 - rest, 0.1, 1 - 1e-9)[bar]
    moments: Ints = np.floor(reached * room * length_ns).astype(np.int64)
    return moments


def _reached(counts: Ints, bar: Ints, weights: Floats) -> Floats:
    """How much of its bar's weight has come by each row, its own included; 1 at the last."""
    cumulated = np.concatenate([[0.0], np.cumsum(weights)])
    ends = np.cumsum(counts)
    before, whole = cumulated[ends - counts], cumulated[ends] - cumulated[ends - counts]
    reached: Floats = np.minimum((cumulated[1:] - before[bar]) / whole[bar], 1.0)
    return reached
