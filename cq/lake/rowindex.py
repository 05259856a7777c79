"""Where the rows of a range of time lie in a file of ours, so that few others are decoded.

A file of ours is in time order and never changes under its name. Whoever asks it for a part of it a
second time has every thousandth of its times remembered, and whether those between are equally far
apart. From then on the rows of a range are counted off where they are, and looked for where not.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from cq.lake.datasets import OHLCV
from cq.lake.layout import ROW_GROUP
from cq.lake.source import scan

EVERY: Final = 1024
"""Rows from one time that is remembered to the next."""
SERIAL: Final = 640 * 1024
"""Of a slice one thread decodes what lies in a row group, of a filter all: so many bytes at most.

That is half a row group of numbers that do not repeat themselves, and all of one whose do.
"""
FILES: Final = 4096
"""Files that are remembered; one of a year of minutes takes 40 kB."""

_asked: set[Path] = set()


class Index(NamedTuple):
    """Of each block of rows its first time, and the step between all of its times or None."""

    times: list[int]
    steps: list[int | None]
    rows: int
    size: int
    """Bytes of the file."""

    def between(self, start: int, end: int) -> tuple[int, int, bool]:
        """First row, number of rows, and whether they are just those within [start, end)."""
        (first, exact), (last, also) = self._row(start, after=False), self._row(end, after=True)
        return first, max(0, last - first), exact and also

    def _row(self, ts: int, *, after: bool) -> tuple[int, bool]:
        """The first row at or after `ts` if that is sure, else one before it, or `after` it."""
        block = bisect_right(self.times, ts) - 1
        if block < 0:
            return 0, True
        begun, step = self.times[block], self.steps[block]
        over = min(self.rows, (block + 1) * EVERY)
        if step is not None:
            return min(over, block * EVERY - (begun - ts) // step), True
        return over if after else block * EVERY, False


def near(rows: pl.LazyFrame, path: Path, start: int, end: int) -> tuple[pl.LazyFrame, bool]:
    """Of all rows of a file of ours a slice with those in [start, end); whether it has no other."""
    if path not in _asked:  # to remember costs more than one question gains
        if len(_asked) >= FILES:
            _asked.clear()
        _asked.add(path)
        return rows, False
    index = _index(path)
    if index is None:
        return rows, False
    first, count, exact = index.between(start, end)
    if _largest(first, count) * index.size > SERIAL * index.rows:
        return rows, False
    return rows.slice(first, count), exact


def _largest(first: int, count: int) -> int:
    """The most rows of a slice that lie in one row group."""
    inside = min(count, ROW_GROUP - first % ROW_GROUP)
    rest = count - inside
    return max(inside, min(rest, ROW_GROUP))


@lru_cache(maxsize=FILES)
def _index(path: Path) -> Index | None:
    """None where a time comes twice: several intervals may lie in one folder."""
    step = pl.col("step")
    blocks = (
        scan([path], OHLCV)
        .select("ts", (pl.col("ts").shift(-1) - pl.col("ts")).alias("step"))
        .with_row_index("block")
        .group_by(pl.col("block") // EVERY, maintain_order=True)
        .agg(pl.col("ts").first(), step.min(), same=step.min() == step.max(), rows=pl.len())
        .collect(engine="in-memory")
    )
    if not bool((blocks["step"].drop_nulls() > 0).all()):
        return None
    steps = blocks.select(pl.when("same").then("step")).to_series()
    rows = int(blocks["rows"].sum())
    return Index(blocks["ts"].to_list(), steps.to_list(), rows, path.stat().st_size)
