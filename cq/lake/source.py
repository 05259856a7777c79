"""Rows that name their files when they are collected, and look again when compaction swapped them.

A frame made here is a question, not a list of files: each time it is collected, and for each of its
places in a query, it sees the files that are there. Where one vanishes between being named and
being read, because another process put a compacted folder into its place, the files are named
again; what was handed on stays handed on, since that goes by whole calendar folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from cq.errors import CqError, DataError, Unreadable
from cq.lake.damage import BROKEN, problem
from cq.lake.datasets import Dataset
from cq.lake.layout import Layout, Part
from cq.lake.places import readable

BATCH_BYTES = 32 * 1024 * 1024
"""Compressed bytes that are read before rows are handed on; folders are not divided."""
SMALL_BYTES = 16 * 1024 * 1024
"""Compressed bytes that are little to read."""
LOOKS = 50
"""How often files may vanish under one question; each time is a compaction."""

T = TypeVar("T")

Naming = Callable[[], Sequence[Part]]
Plan = Callable[[Sequence[Part]], pl.LazyFrame]


class Swapped(Exception):
    """A file that was named is not there any more."""


@dataclass(frozen=True)
class Source:
    """Where rows come from: files by name, and the plan that makes rows of some of them.

    `whole` says that a plan needs every file at once, since a row comes from several folders.
    """

    named: Callable[[], tuple[Sequence[Part], Plan]]
    schema: pl.Schema
    whole: bool = False

    def frame(self) -> pl.LazyFrame:
        """A lazy frame that can be collected, joined with itself and read from threads."""
        return register_io_source(
            self.read, schema=self.schema, is_pure=True, explain_name="cq lake"
        )

    def read(
        self,
        columns: list[str] | None = None,
        predicate: pl.Expr | None = None,
        n_rows: int | None = None,
        _batch_size: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """The rows, a few folders at a time; at least one frame."""
        left, done, seen = n_rows, None, False
        for _ in range(LOOKS):
            parts, plan = self.named()
            parts = [part for part in parts if done is None or part.when > done]
            try:
                for batch in self._batches(parts):
                    rows = asked(plan(batch), columns, predicate, left)
                    engine = self._engine(batch)
                    yield (found := attempt(partial(_collected, rows, engine), batch))
                    seen, done = True, batch[-1].when
                    left = None if left is None else left - found.height
                    if left == 0:
                        return
            except Swapped:
                continue
            if not seen:
                yield asked(pl.LazyFrame(schema=self.schema), columns, predicate, left).collect()
            return
        raise restless()

    def _engine(self, batch: Sequence[Part]) -> Literal["in-memory", "streaming"]:
        """What reads a batch: little is read in half the time without streaming.

        Rows that are sums are made in one way only, so that their last bits are always the same.
        """
        if self.whole or sum(_size(part.path) for part in batch) > SMALL_BYTES:
            return "streaming"
        return "in-memory"

    def _batches(self, parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
        """What is read at a time; files of somebody else may hold rows of any time."""
        if self.whole or not all(part.is_ours for part in parts):
            yield from [parts] if parts else []
        else:
            yield from batches(parts)


def _collected(rows: pl.LazyFrame, engine: Literal["in-memory", "streaming"]) -> pl.DataFrame:
    return rows.collect(engine=engine)


def asked(
    rows: pl.LazyFrame, columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None
) -> pl.LazyFrame:
    """What Polars asks of a source."""
    if predicate is not None:
        rows = rows.filter(predicate)
    if columns is not None:
        rows = rows.select(columns)
    return rows if n_rows is None else rows.head(n_rows)


def batches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Parts in order, those of one calendar folder together, until there are bytes enough."""
    batch: list[Part] = []
    size = 0
    for _, folder in groupby(parts, key=lambda part: part.when):
        here = list(folder)
        more = sum(_size(part.path) for part in here)
        if batch and size + more > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch += here
        size += more
    if batch:
        yield batch


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def look(naming: Naming, work: Callable[[Sequence[Part]], T]) -> T:
    """`work` on the files that `naming` names, begun again where one of them vanishes."""
    for _ in range(LOOKS):
        parts = naming()
        try:
            return attempt(partial(work, parts), parts)
        except Swapped:
            continue
    raise restless()


def attempt(work: Callable[[], T], parts: Sequence[Part]) -> T:
    """What `work` makes of files: Swapped where one has gone, Unreadable where one is damaged.

    Mistakes that no file is to blame for, such as those of a filter, stay what they are.
    """
    try:
        return work()
    except (*BROKEN, OSError, Unreadable) as error:
        if not all(part.path.exists() for part in parts):
            raise Swapped from error
        if isinstance(error, CqError):
            raise
        for whole in (False, True):
            for part in parts:
                if wrong := problem(part.path, whole=whole):
                    raise Unreadable(part.path, wrong) from error
        raise


def restless() -> DataError:
    """The error of files that do not stay long enough to be read."""
    return DataError(f"files of the lake vanished {LOOKS} times while they were read; try again")


def scan(paths: list[str] | list[Path], contract: Dataset) -> pl.LazyFrame:
    """The rows of these files, typed as the contract says."""
    return pl.scan_parquet(
        readable(paths),
        schema=dict(contract.schema),
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
        glob=False,
    )


def rows_of(
    root: Path,
    layout: Layout,
    contract: Dataset,
    owner: Mapping[str, str | None] | None = None,
    start: int | None = None,
    end: int | None = None,
) -> pl.LazyFrame:
    """All rows, in no order, of the files that may hold some of `owner` in [start, end)."""

    def plan(parts: Sequence[Part]) -> pl.LazyFrame:
        return scan([part.path for part in parts], contract)

    return Source(
        lambda: (layout.files(root, owner, start, end), plan), pl.Schema(contract.schema)
    ).frame()


def by_time(rows: Callable[[list[Path]], pl.LazyFrame], parts: Sequence[Part]) -> pl.LazyFrame:
    """Rows of one owner, oldest first, of files in calendar order.

    A file of ours is in order; those that share a folder are not, one to another. What a file of
    somebody else holds is anybody's guess.
    """
    if not all(part.is_ours for part in parts):
        return rows([part.path for part in parts]).sort("ts")
    frames: list[pl.LazyFrame] = []
    alone: list[Path] = []
    for _, folder in groupby(parts, key=lambda part: part.when):
        paths = [part.path for part in folder]
        if len(paths) == 1:
            alone += paths
            continue
        frames += [rows(alone)] if alone else []
        frames.append(rows(paths).sort("ts"))
        alone = []
    frames += [rows(alone)] if alone else []
    return (frames[0] if len(frames) == 1 else pl.concat(frames)).set_sorted("ts")
