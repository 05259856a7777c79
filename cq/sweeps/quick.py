"""Trials of one market that machine code follows from their targets to their sums."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from cq.backtest.announcing import announce
from cq.backtest.engine import buy_and_hold
from cq.backtest.grid import fixed
from cq.backtest.intents import Floats
from cq.backtest.market import Market, Rules
from cq.backtest.metrics import Metrics
from cq.backtest.sums import LANES
from cq.backtest.tiles import TILE
from cq.sweeps.compiled import FOLLOWING, compiled
from cq.sweeps.compiled import kept as on_disk
from cq.sweeps.figures import Clock, of_sums
from cq.sweeps.kernel import SUMS

LONG: Final = ("trials", "a quarter of a minute", partial(on_disk, FOLLOWING))
"""What takes long the first time."""
_SPACE = threading.local()


def is_quick(markets: Sequence[Market], rules: Rules) -> bool:
    """Whether the kernel knows these rules."""
    return (
        len(markets) == 1
        and markets[0].act is None
        and not rules.path_dependent
        and rules.costs.dated is None
    )


def follow(market: Market, rules: Rules, start: int, clock: Clock) -> tuple[Metrics, Floats]:
    """The figures of a run of the market's targets, and its equity at the clock's moments."""
    first = int(np.searchsorted(market.ts, start))
    ts = market.ts[first:]
    found, ends = np.zeros(len(SUMS)), first + clock.counts(ts, rules.interval)
    kept = np.zeros(ends.size)
    code, room = compiled(), space(market.ts.size)
    assert code is not None
    announce(*LONG)
    code.followed(
        fixed(market.target), first, fixed(market.open), fixed(market.close), terms_of(rules),
        ends, *room[1:], found, kept,
    )  # fmt: skip
    held = float(buy_and_hold([market], int(ts[0]), ts[-1:], rules.cash)[0])
    return of_sums(found, ts, rules.interval, rules.cash, held), kept


def terms_of(rules: Rules) -> Floats:
    """Rules as the kernel's numbers."""
    costs = rules.costs
    return np.array(
        [
            rules.cash, rules.max_position, rules.band, rules.latency,
            rules.fill == "next_close", costs.taker, costs.minimum_fee,
            costs.slippage_bps / 10_000, costs.half_ticks or 0.0, costs.tick or 0.0, costs.scale,
            costs.max_gross_exposure, costs.min_notional,
        ],
        dtype=np.float64,
    )  # fmt: skip


def space(size: int) -> Any:
    """A thread's own room to work in: signs, rows and targets of decisions; fills and tiles."""
    if getattr(_SPACE, "size", -1) != size:
        fills = (np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size))
        tile = np.zeros((3, TILE))
        tiles = (np.zeros((5, LANES)), tile, tile.reshape(3, -1, LANES))
        decisions = (np.zeros(size, dtype=np.int64), np.zeros(size))
        _SPACE.made = (np.zeros(TILE, dtype=np.uint8), *decisions, (*fills, *tiles))
        _SPACE.size = size
    return _SPACE.made
