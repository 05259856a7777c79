"""The trades of the lake held against the candles of the lake, where both are covered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

from cq.exchanges.pages import Range
from cq.ingest import coverage
from cq.ingest.built_bars import Comparison, bars_of, compared
from cq.lake import Lake
from cq.lake.damage import collected
from cq.lake.datasets import OHLCV, TRADES, Dataset
from cq.lake.source import rows_of
from cq.utils.time import DAY, interval_ns

COMPARABLE: Final = ("1m", "15m", "1h", "3h", "1d")
"""Intervals of candles that trades are held against, the finest that is covered."""

STRETCH_NS: Final = 30 * DAY
"""Trades are read in pieces no longer than this."""


def compare(lake: Lake, exchange: str, symbol: str, target: Range) -> Comparison | None:
    """Bars made of the stored trades beside the stored candles, where coverage has both.

    At the finest interval whose candles are covered in `target`; None where none are.
    """
    trades = coverage.covered(lake, TRADES.name, exchange, symbol, None)
    mine = overlaps([target], trades)
    for interval in COMPARABLE if mine else ():
        given = coverage.covered(lake, OHLCV.name, exchange, symbol, interval)
        stretches = list(_stretches(overlaps(mine, given), interval))
        if stretches:
            owner = {"exchange": exchange, "symbol": symbol}
            built = [bars_of(_rows(lake, TRADES, owner, one), interval) for one in stretches]
            known = [_rows(lake, OHLCV, owner | {"interval": interval}, one) for one in stretches]
            return compared(pl.concat(built), pl.concat(known))
    return None


def overlaps(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """What lies in a range of either list."""
    return [
        (max(start, low), min(end, high))
        for start, end in some
        for low, high in others
        if max(start, low) < min(end, high)
    ]


def _stretches(ranges: Sequence[Range], interval: str) -> Iterable[Range]:
    """Whole buckets of the ranges, in pieces that fit into memory."""
    step = interval_ns(interval)
    for start, end in ranges:
        first, last = -(-start // step) * step, end // step * step
        yield from ((at, min(at + STRETCH_NS, last)) for at in range(first, last, STRETCH_NS))


def _rows(lake: Lake, contract: Dataset, owner: dict[str, str], stretch: Range) -> pl.DataFrame:
    start, end = stretch
    layout = lake.layouts[contract.name]
    rows = rows_of(lake.root, layout, contract, owner, start, end).filter(
        pl.col("ts").is_between(start, end - 1),
        *(pl.col(name) == value for name, value in owner.items()),
    )
    return collected(rows, lake.root)
