"""A curve in machine code, tile by tile: sums as `cq.backtest.sums` takes them, and falls."""

from __future__ import annotations

import math
from typing import Any, Final

from cq.backtest.sums import LANES

TILE: Final = 1_024
"""Bars at a time: a multiple of the lanes in which sums are taken, and within the nearest cache."""
ORDERLESS: Final = ("extremes",)
"""What gives the same bits in any order: it may be done several at a time."""
ANY_ORDER: Final = {"nnan", "nsz"}
"""How numba is told so."""


def told(
    equity: Any, exposure: Any, cash: float, lanes: Any, tiles: Any, rows: Any, found: Any
) -> None:
    """What a curve adds up to: returns, their squares, equity, exposure, deepest fall, bars held.

    `lanes` are zeros to begin with; `tiles` hold equity, exposure and returns of a tile, `rows` are
    the same in rows of LANES.
    """
    before, peak, low, deepest, held = cash, cash, math.inf, 0.0, 0
    for begin in range(0, equity.size, TILE):
        now, share = equity[begin : begin + TILE], exposure[begin : begin + TILE]
        size = now.size
        for i in range(size):
            tiles[0, i] = now[i]
            tiles[1, i] = share[i]
            held += share[i] != 0.0
        for i in range(1, size):
            tiles[2, i] = now[i] / now[i - 1] - 1 if now[i - 1] > 0.0 else 0.0
        tiles[2, 0] = now[0] / before - 1 if before > 0.0 else 0.0
        before = now[size - 1]
        add_up(size, rows, lanes)
        peak, low, deepest = fallen(now, peak, low, deepest)
    for k in range(4):
        found[k] = added(lanes[k])
    found[4], found[5] = min(deepest, low / peak - 1), held


def fallen(equity: Any, peak: float, low: float, deepest: float) -> tuple[float, float, float]:
    """The highest point so far, the lowest since, the deepest fall before, after a tile more."""
    highest, lowest = extremes(equity)
    if highest <= peak:
        return peak, min(low, lowest), deepest
    for i in range(equity.size):
        now = equity[i]
        if now > peak:
            deepest = min(deepest, low / peak - 1)
            peak, low = now, now
        elif now < low:
            low = now
    return peak, low, deepest


def extremes(values: Any) -> tuple[float, float]:
    """The highest and the lowest of some numbers."""
    highest, lowest = values[0], values[0]
    for i in range(values.size):
        highest = max(highest, values[i])
        lowest = min(lowest, values[i])
    return highest, lowest


def add_up(size: int, tiles: Any, lanes: Any) -> None:
    """Add a tile to the lanes, value by value as `cq.backtest.sums` does."""
    into_lanes(size, tiles[0], lanes[2])
    into_lanes(size, tiles[1], lanes[3])
    with_squares(size, tiles[2], lanes[0], lanes[1])


def with_squares(size: int, values: Any, lane: Any, squared: Any) -> None:
    """Add value i, and its square, to lane i modulo LANES of each."""
    for row in range(size // LANES):
        for j in range(LANES):
            x = values[row, j]
            lane[j] += x
            squared[j] += x * x
    for j in range(size % LANES):
        x = values[size // LANES, j]
        lane[j] += x
        squared[j] += x * x


def into_lanes(size: int, values: Any, lane: Any) -> None:
    """Add value i to lane i modulo LANES, of the first `size` in rows of LANES."""
    for row in range(size // LANES):
        for j in range(LANES):
            lane[j] += values[row, j]
    for j in range(size % LANES):
        lane[j] += values[size // LANES, j]


def added(lane: Any) -> float:
    """The sum of the lanes, first to last."""
    found = 0.0
    for j in range(LANES):
        found += lane[j]
    return found
