"""Good rows into their folders: only what is new, under a lock, in files that appear when whole.

Owners with few rows land in groups: a closed bar of fifty symbols is fifty small files, and what
waits for the disk then waits at the same time. An owner with many rows is a group of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cq.errors import LakeBusy
from cq.lake import keys, locks, places, stillness
from cq.lake.judging import Landing, Owned, Settling, Target, judged
from cq.lake.origin import Origin
from cq.lake.workers import WORKERS, together

if TYPE_CHECKING:
    import pyarrow as pa

    from cq.lake import parquet

WAITING = 8
"""Workers where there is little to compute, and the time goes into waiting for the disk."""
LITTLE = 10_000
"""Rows that are little to compute with; a group of several owners has no more."""
MANY = 50
"""Owners of a group at most: each lock is an open file, and others wait for all of them."""
AT_ONCE_S = 2.0
"""How long rows of several folders wait for questions that list them."""


def land(
    target: Target,
    rows: pl.DataFrame,
    origin: Origin,
    wait_s: float,
    settling: Settling | None = None,
) -> list[Landing]:
    """Store those of the rows, which keep every rule, whose keys are new; an answer an owner."""
    groups = _groups(_owned(target.contract.owner, rows))
    large = [group for group in groups if len(group) == 1]
    small = [group for group in groups if len(group) > 1]

    def work(group: list[Owned]) -> list[Landing]:
        return _land(target, group, origin, wait_s, settling)

    landed = together(work, large) + [work(group) for group in small]
    return [one for group in landed for one in group]


def _owned(names: tuple[str, ...], rows: pl.DataFrame) -> list[Owned]:
    """The rows of each owner: slices where nobody's rows lie between somebody else's."""
    if rows.is_empty():
        return []
    runs = rows.select(pl.struct(names).rle().struct.unnest())
    if runs.get_column("value").is_unique().all():
        ends = runs.get_column("len").cum_sum().to_list()
        starts = [0, *ends[:-1]]
        owners = runs.get_column("value").to_list()
        return [
            Owned(owner, rows.slice(start, end - start))
            for owner, start, end in zip(owners, starts, ends, strict=True)
        ]
    parts = rows.partition_by(names, maintain_order=True, as_dict=True)
    return [Owned(dict(zip(names, who, strict=True)), part) for who, part in parts.items()]


def _groups(owned: Sequence[Owned]) -> list[list[Owned]]:
    """Neighbours, as long as they are few and have few rows."""
    groups: list[list[Owned]] = []
    size = 0
    for one in owned:
        size += one.rows.height
        if not groups or size > LITTLE or len(groups[-1]) == MANY:
            groups.append([])
            size = one.rows.height
        groups[-1].append(one)
    return groups


def _land(
    target: Target,
    group: Sequence[Owned],
    origin: Origin,
    wait_s: float,
    settling: Settling | None,
) -> list[Landing]:
    with _locked(target, group, wait_s):
        found = [judged(target, one, settling) for one in group]
        _store(target, [fresh for fresh, _ in found if fresh.rows.height], origin)
    return [landing for _, landing in found]


@contextmanager
def _locked(target: Target, group: Sequence[Owned], wait_s: float) -> Iterator[None]:
    """The locks of all of them, taken in one order by everybody, so that nobody waits in a ring."""
    until = time.monotonic() + wait_s
    wanted = {target.lock(one.owner): one.owner for one in group}
    with ExitStack() as held:
        for path in sorted(wanted, key=str):
            what = f"{target.contract.name} of {wanted[path]['symbol']}"
            left = max(0.0, until - time.monotonic())
            held.enter_context(locks.held(path, what, left))
        yield


def _store(target: Target, fresh: Sequence[Owned], origin: Origin) -> None:
    """Write sorted rows of owners into their calendar folders; what is whole appears together."""
    parts = [Owned(one.owner, part) for one in fresh for part in _by_folder(target, one.rows)]
    files: list[parquet.Ready] = []
    try:
        if sum(one.rows.height for one in parts) <= LITTLE:
            _write_little(target, parts, origin, files)
        else:
            _write_much(target, parts, origin, files)
        files.sort(key=lambda one: one.target)
        with _at_once(target.root, several=len(parts) > len(fresh)):
            for one in files:
                one.appear()
    except BaseException:
        with ExitStack() as dropping:  # all of them, whatever stops one
            for one in files:
                dropping.callback(one.drop)
        raise
    together(lambda one: one.settle(), files, WAITING)


def _write_little(
    target: Target, parts: Sequence[Owned], origin: Origin, files: list[parquet.Ready]
) -> None:
    """Small files, synced: one step for all of them, then the next.

    Fifty times in a row each step takes a fraction of the time that it takes in turn with others,
    and nothing but the waiting for the disk is left to do side by side.
    """
    from cq.lake import parquet

    said = origin.as_metadata()
    tables = parquet.tables([one.rows for one in parts], target.contract.required)
    contents = [parquet.encoded(table, said) for table in tables]
    for first in range(0, len(parts), MANY):
        some = slice(first, first + MANY)  # each is an open file
        for one, content in zip(parts[some], contents[some], strict=True):
            files.append(file := _placed(target, one, content))
            file.write(content)
        together(parquet.Ready.sync, files[some], WAITING)


def _write_much(
    target: Target, parts: Sequence[Owned], origin: Origin, files: list[parquet.Ready]
) -> None:
    """Large files, synced: one is encoded while another waits for the disk."""
    from cq.lake import parquet

    said = origin.as_metadata()

    def write(one: Owned) -> None:
        content = parquet.encoded(one.rows, said, target.contract.required)
        files.append(file := _placed(target, one, content))
        file.write(content)
        file.sync()

    together(write, parts, WORKERS)


def _placed(target: Target, one: Owned, content: pa.Buffer) -> parquet.Ready:
    """Where the file of one owner's rows belongs; what its keys lie between is remembered."""
    from cq.lake import parquet

    first = int(one.rows.item(0, target.contract.time))
    folder = target.root / target.layout.folder(one.owner, first)
    file = parquet.Ready(folder / target.layout.file_name(first, parquet.digest(content)))
    keys.remember(target.root, target.contract, one.owner, file.target, one.rows)
    return file


def _by_folder(target: Target, rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Sorted rows, cut where a new calendar folder begins."""
    times = rows.get_column(target.contract.time)
    cuts = target.layout.cuts(int(times[0]), int(times[-1]))
    edges = [0, *(int(times.search_sorted(cut, side="left")) for cut in cuts), rows.height]
    return [rows.slice(a, b - a) for a, b in pairwise(edges) if b > a]


@contextmanager
def _at_once(root: Path, *, several: bool) -> Iterator[None]:
    """`several` files of an owner appear for every question together; the oldest first otherwise.

    One that takes long to answer has listed its files long ago, so none is waited for forever.
    """
    with ExitStack() as held:
        if several and not places.is_remote(root):
            with suppress(LakeBusy):
                held.enter_context(stillness.changing(root, str(root), AT_ONCE_S))
        yield
