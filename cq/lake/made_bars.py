"""The plan of bars that are made of finer ones, which rows in memory can be folded by, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import polars as pl

from cq.lake.layout import Part
from cq.lake.resample import MONTH, resampled

MEASURES: Final = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class MadeBars:
    """Bars of `interval` of one symbol, from the rows that `finer` reads, oldest first.

    Where the finer rows fit into memory, `folded` makes the same of them in less time.
    """

    finer: Callable[[Sequence[Part]], pl.LazyFrame]
    interval: str
    named: Callable[[pl.LazyFrame], pl.LazyFrame]
    """Adds the columns that are the same in every row."""

    def __call__(self, parts: Sequence[Part]) -> pl.LazyFrame:
        """What the bars are, for Polars to carry out however it likes."""
        return self.named(resampled(self.finer(parts), self.interval, ()))

    def folds(self, *, large: bool) -> bool:
        """Whether folding pays: not for so little that loading numpy would take longer."""
        return self.interval != MONTH and (large or "numpy" in sys.modules)

    def reads(self, parts: Sequence[Part], columns: Collection[str]) -> pl.LazyFrame:
        """Of the finer rows what bars with these columns are made of."""
        return self.finer(parts).select("ts", *(name for name in MEASURES if name in columns))


def folded(plans: Sequence[MadeBars], finer: Sequence[pl.DataFrame]) -> list[pl.LazyFrame | None]:
    """The bars of each plan, of what it reads; None where only the plan itself can make them.

    Threads of their own work on arrays alone: those that Polars works with may all be waiting here.
    """
    from cq.lake.folding import blocks_of, fold, frame_of  # numpy, which most questions do without

    blocks = [blocks_of(rows) for rows in finer]
    with ThreadPoolExecutor(pl.thread_pool_size(), "fold") as pool:
        found = pool.map(fold, blocks, (plan.interval for plan in plans))
    return [
        None if columns is None else plan.named(frame_of(columns).lazy())
        for plan, columns in zip(plans, found, strict=True)
    ]
