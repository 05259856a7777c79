"""Many small files into few large ones: the same rows, sorted, while others read and write.

Each folder is done for itself, and in it the files of each owner, since a file has one. Its small
files are merged beside it without any lock; then, under the folder's lock, the result takes their
place in one step (`cq.lake.swap`), if none of them has changed meanwhile. Files that cq did not
write, and damaged ones, are left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from cq.errors import CompactionFailed, LakeBusy
from cq.lake import disk, locks, swap
from cq.lake.damage import altered
from cq.lake.datasets import DATASETS, dataset
from cq.lake.footer import TORN
from cq.lake.lake import Lake
from cq.lake.layout import Layout, Leaf, is_ours
from cq.lake.merging import Merge, Piece, fingerprint
from cq.lake.origin import Origin, origin_of
from cq.lake.spans import opened, spans
from cq.lake.template import safe
from cq.lake.workers import WORKERS

SMALL_MB = 50
LARGE_MB = 200
MEGABYTE = 1_000_000
TRIES = 3
WAIT_S = 10.0
ASKED_S = 60.0
"""How long to wait for questions that are being answered."""
TURN_S = 0.3
"""How long at a time, with the writers of the folder waiting too."""


@dataclass(frozen=True)
class Compacted:
    """What became of one folder; files and bytes are those that cq wrote in it."""

    dataset: str
    folder: Path
    owner: dict[str, str]
    rows: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    left: str = ""
    """Why the folder, or a file of it, was left as it is."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"folder": str(self.folder)}


@dataclass(frozen=True)
class _Task:
    """One folder that has small files, as it was found."""

    layout: Layout
    leaf: Leaf
    found: dict[str, swap.Stamp]
    small: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    """Those of one owner together, two at least."""

    @property
    def merged(self) -> tuple[str, ...]:
        """The files to merge."""
        return tuple(name for group in self.groups for name in group)

    @property
    def size(self) -> int:
        """Bytes to merge."""
        return sum(self.found[name].size for name in self.merged)


Progress = Callable[[Compacted, int, int], None]
"""Told each folder that is done, how many are, and how many there are to do."""


def compact(
    lake: Lake,
    datasets: Sequence[str] = (),
    symbols: Sequence[str] = (),
    *,
    small_mb: float = SMALL_MB,
    large_mb: float = LARGE_MB,
    dry_run: bool = False,
    wait_s: float = WAIT_S,
    progress: Progress = lambda *_: None,
) -> list[Compacted]:
    """Merge the files below `small_mb` of each folder into files of up to `large_mb`.

    With `symbols`, of the folders that may hold rows of one of them: those that do not tell whose
    rows they have are among them. A second run finds nothing to do. With `dry_run` nothing is
    changed, and the sizes afterwards are guesses. LakeBusy while another process compacts the same
    lake.
    """
    swap.refuse_storage(lake.root)
    limits = int(small_mb * MEGABYTE), int(large_mb * MEGABYTE)
    tasks = [task for name in datasets or DATASETS for task in _tasks(lake, name, symbols, limits)]
    if dry_run:
        return [_guessed(task, limits) for task in tasks]
    if not tasks:
        return []
    done: dict[Path, Compacted] = {}
    lock = lake.root / locks.LOCKS / "compaction.lock"
    with locks.held(lock, f"the lake {lake.root}", 0, "compacted"), swap.bench(lake.root) as bench:
        work = _Folders(lake, bench, limits, wait_s)
        for one in _together(work, sorted(tasks, key=lambda task: -task.size)):
            done[one.folder] = one
            progress(one, len(done), len(tasks))
            bench.tidy()
    return [done[task.leaf.path] for task in tasks]


def _together(work: _Folders, tasks: Sequence[_Task]) -> Iterator[Compacted]:
    """Every folder, a few at a time; the first error stops what has not begun."""
    with ThreadPoolExecutor(WORKERS) as pool:
        running = [pool.submit(work.compacted, task) for task in tasks]
        try:
            for one in as_completed(running):
                yield one.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _tasks(
    lake: Lake, name: str, symbols: Sequence[str], limits: tuple[int, int]
) -> Iterator[_Task]:
    layout = lake.layouts[dataset(name).name]
    named = {safe(one) for one in symbols}
    for leaf in layout.leaves(lake.root):
        if not named or leaf.values.get("symbol") in {None, *named}:
            task = _task(layout, leaf, limits)
            if task.groups:
                yield task


def _task(layout: Layout, leaf: Leaf, limits: tuple[int, int]) -> _Task:
    found = {name: one for name, one in swap.listing(leaf.path).items() if is_ours(name)}
    small = sorted(name for name, one in found.items() if one.size < limits[0])
    every: dict[Any, list[str]] = {}
    for name in small if len(small) > 1 else ():
        every.setdefault(_whose(layout, leaf.path / name), []).append(name)
    groups = tuple(tuple(one) for one in every.values() if len(one) > 1)
    return _Task(layout, leaf, found, tuple(small), groups)


def _whose(layout: Layout, path: Path) -> Any:
    """Whose rows a file holds, where its folder does not tell; a damaged one stays alone."""
    contract = dataset(layout.dataset)
    if contract.free_form or set(contract.owner) <= set(layout.fields):
        return None
    try:
        with opened(path, contract.owner) as file:
            return tuple(spans(file, contract.owner).items())
    except TORN:
        return path


def _guessed(task: _Task, limits: tuple[int, int]) -> Compacted:
    """What a folder may look like afterwards, if its bytes stay as many."""
    files = len(task.found) - len(task.merged) + max(len(task.groups), -(-task.size // limits[1]))
    size = sum(one.size for one in task.found.values())
    rows = sum(
        piece.rows
        for name in task.merged
        for piece in Merge(dataset(task.layout.dataset)).pieces(task.leaf.path / name) or ()
    )
    return Compacted(
        task.layout.dataset,
        task.leaf.path,
        task.leaf.owner,
        rows,
        len(task.found),
        files,
        size,
        size,
    )


@dataclass(frozen=True)
class _Folders:
    """Compacts folders of one lake."""

    lake: Lake
    bench: swap.Bench
    limits: tuple[int, int]
    wait_s: float

    def compacted(self, task: _Task) -> Compacted:
        """One folder; begun anew where its small files change meanwhile."""
        for _ in range(TRIES):
            try:
                done = self._once(task)
            except LakeBusy as busy:
                return _left(task, str(busy))
            except FileNotFoundError:
                done = None
            if done is not None:
                return done
            task = _task(task.layout, task.leaf, self.limits)
            if not task.groups:
                return _left(task, "")
        return _left(task, "its files change all the time; run the same command again later")

    def _once(self, task: _Task) -> Compacted | None:
        merge = Merge(dataset(task.layout.dataset))
        folder, damaged = task.leaf.path, []
        if not swap.is_plain(folder):
            return _left(task, "a symbolic link leads to it, or a folder lies in it")
        pieces: dict[str, list[Piece]] = {}
        wanted = set(task.merged)
        for name in task.small:
            if altered(folder / name):
                damaged.append(name)
            elif name in wanted and (found := merge.pieces(folder / name)) is not None:
                pieces[name] = found
        problem = f"{', '.join(damaged)}: not what its name says; left alone" if damaged else ""
        whole = ({name: pieces[name] for name in one if name in pieces} for one in task.groups)
        groups = [one for one in whole if len(one) > 1]
        if not groups:
            return _left(task, problem)
        place = self.bench.place()
        made = [file for one in groups for file in self._merged(merge, task, one, place)]
        inputs = {name: task.found[name] for one in groups for name in one}
        lock = locks.of_folder(self.lake.root, task.layout, task.leaf.values)
        if not self._exchanged(place, folder, inputs, lock):
            self.bench.drop(place)
            return None
        kept = [one.size for name, one in task.found.items() if name not in inputs]
        return Compacted(
            task.layout.dataset, folder, task.leaf.owner,
            rows=sum(rows for rows, _ in made),
            files_before=len(task.found), files_after=len(kept) + len(made),
            bytes_before=sum(one.size for one in task.found.values()),
            bytes_after=sum(kept) + sum(size for _, size in made), left=problem,
        )  # fmt: skip

    def _exchanged(
        self, place: swap.Place, folder: Path, inputs: Mapping[str, swap.Stamp], lock: Path
    ) -> bool:
        """Wait for a moment without questions; between two looks, writers have their turn."""
        until = time.monotonic() + ASKED_S
        while True:
            with locks.held(lock, f"the folder {folder}", self.wait_s):
                try:
                    return self.bench.exchanged(place, folder, inputs, TURN_S)
                except LakeBusy:
                    if time.monotonic() >= until:
                        raise
            time.sleep(TURN_S)

    def _merged(
        self, merge: Merge, task: _Task, pieces: dict[str, list[Piece]], place: swap.Place
    ) -> list[tuple[int, int]]:
        """Write the rows of the files into the place, and read them again; rows and bytes each."""
        before, after = [0, 0], [0, 0]
        every = [one for found in pieces.values() for one in found]

        def windows() -> Iterator[pa.Table]:
            for window in merge.windows(every):
                table = merge.rows(window)
                _count(before, table)
                yield table

        metadata = _metadata([task.leaf.path / name for name in pieces])
        made = []
        with disk.writing(self.lake.root):
            for one in merge.write(windows(), place.content, self.limits, metadata, every):
                for table in merge.again(one.path):
                    _count(after, table)
                path = place.content / task.layout.file_name(one.first, one.digest)
                disk.replace(one.path, path)
                made.append((one.rows, path.stat().st_size))
        expected = sum(one.rows for found in pieces.values() for one in found)
        if before != after or before[0] != expected:
            raise CompactionFailed(task.leaf.path)
        return made


def _count(total: list[int], rows: pa.Table) -> None:
    """Add rows to a number of rows and their fingerprint."""
    total[0] += rows.num_rows
    total[1] = (total[1] + fingerprint(rows)) % (1 << 64)


def _metadata(paths: Sequence[Path]) -> dict[str, str] | None:
    """What the merged file says of where its rows come from."""
    said = [origin for path in paths if (origin := origin_of(path))]
    return Origin.merged(said).as_metadata() if said else None


def _left(task: _Task, why: str) -> Compacted:
    size = sum(one.size for one in task.found.values())
    files = len(task.found)
    return Compacted(
        task.layout.dataset, task.leaf.path, task.leaf.owner, 0, files, files, size, size, why
    )
