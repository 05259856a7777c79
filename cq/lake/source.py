"""Rows that name their files when they are collected, and look again when compaction swapped them.

A frame made here is a question, not a list of files: each time it is collected, and for each of its
places in a query, it sees the files that are there. Where one vanishes between being named and
being read, because another process put a compacted folder into its place, the files are named
again; what was handed on stays handed on, since that goes by whole calendar folders.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from cq.errors import CqError, DataError, Unreadable
from cq.lake.damage import BROKEN, problem
from cq.lake.datasets import DATASETS, Dataset
from cq.lake.layout import Layout, Part
from cq.lake.made_bars import MANY, Made, MadeBars, folded
from cq.lake.places import is_remote, readable
from cq.lake.stillness import still

BATCH_BYTES = 32 * 1024 * 1024
"""Compressed bytes that are read before rows are handed on; folders are not divided."""
SMALL_BYTES = 16 * 1024 * 1024
"""Compressed bytes that are little to read."""
FINER = 32
"""How much more is read at once of bars that are made of finer ones, if they are so much finer."""
LOOKS = 50
"""How often files may vanish under one question; each time is a compaction."""

T = TypeVar("T")

Naming = Callable[[], Sequence[Part]]
Plan = Callable[[Sequence[Part]], pl.LazyFrame]


class Swapped(Exception):
    """A file that was named is not there any more."""


class Strand(NamedTuple):
    """One run of rows: files by name, and the plan that makes rows of some of them.

    `whole` says that the plan needs every file at once, since a row comes from several folders.
    """

    named: Callable[[], tuple[Sequence[Part], Plan]]
    whole: bool = False


class Place(NamedTuple):
    """How far a question has been answered: strands that are done, and a folder in the next."""

    strand: int = 0
    folder: tuple[int, ...] | None = None


class Piece(NamedTuple):
    """What is read at once of a strand."""

    strand: int
    parts: Sequence[Part]
    plan: Plan
    size: int
    """Compressed bytes of its files."""
    by_row_groups: bool = False
    """Whether finer bars are read a row group at a time, so that few are in memory."""

    @property
    def weight(self) -> int:
        """What it counts among pieces that are read side by side."""
        if self.by_row_groups and isinstance(self.plan, MadeBars):
            return self.size // min(FINER, self.plan.many)
        return self.size

    @property
    def place(self) -> Place:
        """How far one is after it."""
        return Place(self.strand, self.parts[-1].when)


class Source(NamedTuple):
    """Where rows come from: strands, one after the other, whose rows have the same columns."""

    root: Path
    strands: Sequence[Strand]
    schema: pl.Schema

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
        """The rows, a few folders of a few strands at a time; at least one frame."""
        wanted = columns if columns is not None else self.schema.names()
        needed = {*wanted, *(predicate.meta.root_names() if predicate is not None else ())}
        left, place, seen = n_rows, Place(), False
        for looked in range(LOOKS):
            try:  # what was swapped once is read piece by piece: fewer files can vanish under it
                alone = n_rows is not None or looked > 0
                for group in together(self._pieces(place), alone=alone):
                    ask = partial(asked, columns=wanted, predicate=predicate, n_rows=left)
                    parts = [part for one in group for part in one.parts]
                    read = partial(_collected, group, needed, ask)
                    yield from (found := attempt(read, parts))
                    seen, place = True, group[-1].place
                    left = None if left is None else left - found[0].height
                    if left == 0:
                        return
            except Swapped:
                continue
            if not seen:
                yield asked(pl.LazyFrame(schema=self.schema), wanted, predicate, left).collect()
            return
        raise restless()

    def _pieces(self, place: Place) -> Iterator[Piece]:
        """What comes after a place; files are named when their turn has come."""
        for number in range(place.strand, len(self.strands)):
            with still(self.root):
                parts, plan = self.strands[number].named()
            if number == place.strand and place.folder is not None:
                parts = [part for part in parts if part.when > place.folder]
            if not parts:
                continue
            if self.strands[number].whole or not all(part.is_ours for part in parts):
                # files of somebody else may hold rows of any time
                some = iter([(parts, _weight(parts))])
            else:
                some = batches(parts)
            for few, size in some:
                yield Piece(number, few, plan, size, self._by_row_groups(plan, few, size))

    def _by_row_groups(self, plan: Plan, parts: Sequence[Part], size: int) -> bool:
        many = len(self.strands) >= MANY
        return (
            isinstance(plan, MadeBars)
            and size <= BATCH_BYTES
            and plan.by_row_groups(parts, size, many=many)
        )


def _collected(
    group: Sequence[Piece], needed: Collection[str], ask: Callable[[pl.LazyFrame], pl.LazyFrame]
) -> list[pl.DataFrame]:
    """What is asked of each piece; little, and many files as they are, faster without streaming."""
    large = sum(one.size for one in group) > SMALL_BYTES
    frames = [ask(rows) for rows in _plans(group, needed, large=large)]
    if len(frames) == 1:
        return [frames[0].collect(engine="streaming" if large else "in-memory")]
    return pl.collect_all(frames, engine="in-memory")


def _plans(group: Sequence[Piece], needed: Collection[str], *, large: bool) -> list[pl.LazyFrame]:
    """The rows of each piece; bars that are made of finer ones are in memory by then."""
    made = {
        number: Made(plan, one.parts, one.by_row_groups)
        for number, one in enumerate(group)
        if isinstance(plan := one.plan, MadeBars)
        and (one.by_row_groups or (one.size <= BATCH_BYTES and plan.folds(large=large)))
    }
    frames = folded(list(made.values()), needed) if made else []
    found = dict(zip(made, frames, strict=True))
    rows = [found.get(number) for number in range(len(group))]
    return [
        one.plan(one.parts) if frame is None else frame  # some plans look into files, too
        for one, frame in zip(group, rows, strict=True)
    ]


def together(pieces: Iterator[Piece], *, alone: bool) -> Iterator[list[Piece]]:
    """Pieces that are read side by side, since each is small; each `alone` where few rows do."""
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        if group and (alone or size + piece.weight > BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append(piece)
        size += piece.weight
    if group:
        yield group


def asked(
    rows: pl.LazyFrame, columns: list[str], predicate: pl.Expr | None, n_rows: int | None
) -> pl.LazyFrame:
    """What Polars asks of a source."""
    if predicate is not None:
        rows = rows.filter(predicate)
    rows = rows.select(columns)
    return rows if n_rows is None else rows.head(n_rows)


def batches(parts: Sequence[Part]) -> Iterator[tuple[list[Part], int]]:
    """Parts in order, those of one calendar folder together, until there are bytes enough."""
    batch: list[Part] = []
    size = 0
    for _, folder in groupby(parts, key=lambda part: part.when):
        here = list(folder)
        more = _weight(here)
        if batch and size + more > BATCH_BYTES:
            yield batch, size
            batch, size = [], 0
        batch += here
        size += more
    if batch:
        yield batch, size


def _weight(parts: Sequence[Part]) -> int:
    """The bytes of files that are there."""
    size = 0
    for part in parts:
        with suppress(OSError):
            size += part.path.stat().st_size
    return size


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
    alone = len(paths) == 1 and not is_remote(paths[0])
    if alone and DATASETS.get(contract.name) is contract:
        with suppress(OSError):  # Polars says what is wrong with the file
            held = os.stat(paths[0])  # noqa: PTH116
            return _remembered(
                str(paths[0]), contract.name, held.st_ino, held.st_size, held.st_mtime_ns
            )
    return _scan(paths, contract)


@lru_cache(maxsize=512)
def _remembered(path: str, name: str, *_stamp: int) -> pl.LazyFrame:
    """The rows of one file: the plan of them is made once."""
    return _scan([path], DATASETS[name])


def _scan(paths: list[str] | list[Path], contract: Dataset) -> pl.LazyFrame:
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

    found = Strand(lambda: (layout.files(root, owner, start, end), plan))
    return Source(root, [found], pl.Schema(contract.schema)).frame()


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
