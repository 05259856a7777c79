"""The plan of bars that are made of finer ones, which rows in memory can be folded by, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import polars as pl

from cq.lake.layout import Part
from cq.lake.resample import MONTH, resampled

MEASURES: Final = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class MadeBars:
    """Bars of `interval` of one symbol, from the rows that `finer` reads, oldest first.

    Where the finer rows fit into memory, `begun` makes the same of them in less time.
    """

    finer: Callable[[Sequence[Part]], pl.LazyFrame]
    interval: str
    symbol: str
    exchange: str

    def __call__(self, parts: Sequence[Part]) -> pl.LazyFrame:
        """What the bars are, for Polars to carry out however it likes."""
        return self._named(resampled(self.finer(parts), self.interval, ()))

    def folds(self, *, large: bool) -> bool:
        """Whether `begun` pays: not for so little that loading numpy would take longer."""
        return self.interval != MONTH and (large or "numpy" in sys.modules)

    def begun(
        self, parts: Sequence[Part], columns: Collection[str], beside: Executor
    ) -> Callable[[], pl.LazyFrame]:
        """Read the finer rows and let them be folded `beside`; the bars, once they are asked for.

        Only arrays are worked on there: a thread that waits for another must not hold one of those
        that Polars works with, which the other would wait for.
        """
        from cq.lake.folding import blocks_of, folded  # numpy, which most questions do without

        finer = self.finer(parts).select("ts", *(name for name in MEASURES if name in columns))
        waiting = beside.submit(folded, blocks_of(finer.collect(engine="in-memory")), self.interval)

        def made() -> pl.LazyFrame:
            found = waiting.result()
            if found is None:
                return self(parts)
            rows = pl.DataFrame([pl.Series(name, column) for name, column in found.items()])
            return self._named(rows.lazy())

        return made

    def _named(self, bars: pl.LazyFrame) -> pl.LazyFrame:
        """Names are constants, not read from files."""
        return bars.with_columns(
            pl.lit(self.symbol).alias("symbol"), pl.lit(self.exchange).alias("exchange")
        )
