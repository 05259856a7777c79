"""The plan of bars that are made of finer ones, which arrays can be folded by, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from cq.lake.layout import Part
from cq.lake.places import is_remote
from cq.lake.resample import MONTH, resampled
from cq.lake.workers import together

if TYPE_CHECKING:
    from pathlib import Path

    from cq.lake.folding import Columns, Partial

MEASURES: Final = ("open", "high", "low", "close", "volume")
FEW: Final = 4
"""Series whose rows are in memory at once, at least: what takes few bytes may have many rows."""
LEAST_BYTES: Final = 128 * 1024
"""Bytes of a file, on average, below which Polars reads many at once in less time."""
MANY: Final = 24
"""Series from which on it pays to load pyarrow, which folds a year of minutes in 5 ms less."""


@dataclass(frozen=True)
class MadeBars:
    """Bars of `interval` of one symbol, from the rows that `finer` reads, oldest first.

    `folded` makes the same of them in less time.
    """

    finer: Callable[[Sequence[Part]], pl.LazyFrame]
    interval: str
    named: Callable[[pl.LazyFrame], pl.LazyFrame]
    """Adds the columns that are the same in every row."""
    within: tuple[int, int] | None = None
    """When the finer rows open, where files have nothing else but rows of other times."""
    many: int = 1
    """How many finer bars make one."""

    def __call__(self, parts: Sequence[Part]) -> pl.LazyFrame:
        """What the bars are, for Polars to carry out however it likes."""
        return self.named(self.unnamed(parts))

    def unnamed(self, parts: Sequence[Part]) -> pl.LazyFrame:
        """The same without those columns."""
        return resampled(self.finer(parts), self.interval, ())

    def folds(self, *, large: bool) -> bool:
        """Whether folding pays: not for so little that loading numpy would take longer."""
        return self.interval != MONTH and (large or "numpy" in sys.modules)

    def by_row_groups(self, parts: Sequence[Part], size: int, *, many: bool) -> bool:
        """Whether files of so many bytes are here, in order of time, and worth opening one by one.

        Of `many` series that is worth loading pyarrow, too.
        """
        whens = [part.when for part in parts]
        return (
            self.within is not None
            and self.interval != MONTH
            and (many or "pyarrow.parquet" in sys.modules)
            and size >= LEAST_BYTES * len(parts)
            and whens == sorted(set(whens))
            and all(part.is_ours and not is_remote(part.path) for part in parts)
        )


class Made(NamedTuple):
    """Bars, and the files that they are made of."""

    plan: MadeBars
    parts: Sequence[Part]
    by_row_groups: bool


def folded(pieces: Sequence[Made], columns: Collection[str]) -> list[pl.LazyFrame]:
    """The bars of each piece, with these columns at least.

    Threads beside this one work on arrays alone: those of Polars may all be waiting here.
    What arrays do not tell is left to the plans; few series at a time are in memory.
    """
    from cq.lake.folding import frame_of  # numpy, which most questions do without

    measures = [name for name in MEASURES if name in columns]
    bars: dict[int, Columns] = {}
    ready = [at for at, one in enumerate(pieces) if one.by_row_groups]
    bars |= zip(ready, _of_files([pieces[at] for at in ready], measures), strict=True)
    for few in _few(at for at in range(len(pieces)) if at not in bars):
        bars |= zip(few, _of_frames([pieces[at] for at in few], measures), strict=True)
    found = {at: frame_of(one) for at, one in bars.items() if one is not None}
    for few in _few(at for at in bars if at not in found):
        plans = [one.plan.unnamed(one.parts) for one in (pieces[at] for at in few)]
        asked = [bars.select("ts", *measures) for bars in plans]
        found |= zip(few, pl.collect_all(asked, engine="in-memory"), strict=True)
    return [one.plan.named(found[at].lazy()) for at, one in enumerate(pieces)]


def _few(places: Iterable[int]) -> Iterator[list[int]]:
    """So many at a time that each thread has work."""
    left = list(places)
    size = max(FEW, pl.thread_pool_size())
    return (left[at : at + size] for at in range(0, len(left), size))


def _of_files(pieces: Sequence[Made], measures: Sequence[str]) -> list[Columns]:
    """From row groups, one after the other; each file in as many shares as give threads work."""
    from cq.lake.folding import joined

    threads = pl.thread_pool_size()
    files = [(at, part.path) for at, one in enumerate(pieces) for part in one.parts]
    shares = max(1, 2 * threads // max(1, len(files)))
    asked = [(at, path, (share, shares)) for at, path in files for share in range(shares)]

    def work(task: tuple[int, Path, tuple[int, int]]) -> list[Partial | None]:
        at, path, share = task
        return _partials(path, pieces[at].plan, measures, share)

    found: list[list[Partial | None]] = [[] for _ in pieces]
    for (at, *_), some in zip(asked, together(work, asked, threads), strict=True):
        found[at] += some
    intervals = [one.plan.interval for one in pieces]
    return together(lambda at: joined(found[at], intervals[at]), range(len(pieces)), threads)


def _partials(
    path: Path, plan: MadeBars, measures: Sequence[str], share: tuple[int, int]
) -> list[Partial | None]:
    """What a share of a file says of its bars; None where it does not say it in arrays."""
    from cq.lake.folding import partials
    from cq.lake.row_groups import DAMAGED, NotArrays, row_groups

    start, end = plan.within or (0, 0)
    try:
        return list(partials(row_groups(path, start, end, share), measures, plan.interval))
    except (NotArrays, *DAMAGED):  # the plan tells what is wrong
        return [None]


def _of_frames(pieces: Sequence[Made], measures: Sequence[str]) -> list[Columns]:
    """From rows that Polars reads into memory."""
    from cq.lake.folding import blocks_of, fold

    reads = [one.plan.finer(one.parts).select("ts", *measures) for one in pieces]
    blocks = [blocks_of(rows) for rows in pl.collect_all(reads, engine="in-memory")]
    intervals = [one.plan.interval for one in pieces]
    return together(
        lambda at: fold(blocks[at], measures, intervals[at]),
        range(len(pieces)),
        pl.thread_pool_size(),
    )
