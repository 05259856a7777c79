"""New content for a folder of the lake: prepared beside it, then put in its place in one step.

The work lies in `.work/<process>-<token>/<number>/`: the prepared folder `content`, and
`plan.json`, written before the step, which tells afterwards what there was. The prepared folder and
the live one exchange their names, so whoever lists the live one finds all of the old or all of the
new. What a killed process leaves is healed by looking which of the two `content` is.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from cq.errors import LakeBusy, LakeUnwritable
from cq.lake import disk, locks, places, stillness

WORK = ".work"
CONTENT = "content"
PLAN = "plan.json"
LINGER_S = 1.0
"""A replaced folder stays so long for those who have opened it and not listed it yet: DuckDB, that
does not look again, on a machine that is busy with other things."""

_BENCH = re.compile(r"\d+-[0-9a-f]{12}")
_HALF_WRITTEN = re.compile(r"\.\d+\.\d+\.parquet\.tmp$")


class Stamp(NamedTuple):
    """What tells whether a file is still the one that was looked at."""

    inode: int
    size: int
    changed_ns: int


class Place(NamedTuple):
    """Where one folder's new content is prepared; it lies on the lake's file system."""

    path: Path

    @property
    def content(self) -> Path:
        """The prepared folder; after the exchange, the one it took the place of."""
        return self.path / CONTENT


@dataclass
class Bench:
    """The places that one piece of work prepares folders in; threads may share it."""

    root: Path
    path: Path
    _numbers: Iterator[int] = field(default_factory=count)
    _done: list[tuple[float, Place]] = field(default_factory=list)

    def place(self) -> Place:
        """A new one."""
        one = Place(self.path / str(next(self._numbers)))
        with disk.writing(self.root):
            disk.make_folder(one.content)
        return one

    def exchanged(
        self, one: Place, live: Path, inputs: Mapping[str, Stamp], wait_s: float = 10
    ) -> bool:
        """Put the prepared files in the place of `inputs`; the caller holds the folder's lock.

        Whatever else is in the folder stays there. False, and nothing is changed, where one of the
        inputs is no longer what it was, or a prepared file's name is taken. LakeBusy, and it may be
        tried again, where questions leave no moment free within `wait_s`.
        """
        with disk.writing(live):
            done = _exchanged(self.root, one, live, inputs, wait_s)
        if done:
            self._done.append((time.monotonic() + LINGER_S, one))
        return done

    def drop(self, one: Place) -> None:
        """Remove a place that is not needed after all."""
        with disk.writing(self.root):
            _clear(self.root, one)

    def tidy(self) -> None:
        """Remove what was replaced a while ago."""
        with disk.writing(self.root):
            while self._done and self._done[0][0] <= time.monotonic():
                _clear(self.root, self._done.pop(0)[1])

    def close(self) -> None:
        """Remove everything."""
        if self._done:
            time.sleep(max(0.0, self._done[-1][0] - time.monotonic()))
        with disk.writing(self.root):
            _clear_bench(self.root, self.path)


@contextmanager
def bench(root: Path) -> Iterator[Bench]:
    """A bench for a piece of work; it goes in the end, with what was replaced."""
    refuse_storage(root)
    name = f"{os.getpid()}-{secrets.token_hex(6)}"
    lock = _lock(root, name)
    with locks.held(lock, f"{root}/{WORK}/{name}", 0):
        one = Bench(root, root / WORK / name)
        try:
            yield one
        except BaseException:
            with suppress(LakeUnwritable):  # what went wrong before is what has to be told
                one.close()
            raise
        else:
            one.close()
        finally:
            with suppress(OSError):
                disk.remove(lock)


def refuse_storage(root: Path) -> None:
    """Say in one line that nothing can be exchanged on object storage."""
    places.refuse(
        root,
        "changing what lies in a folder (compaction among others)",
        "object storage cannot exchange folders in one step; compact a local copy and upload it",
    )


def heal(root: Path) -> int:
    """Remove the work of processes that are no longer alive; how many had left some."""
    if places.is_remote(root):
        return 0
    healed = 0
    for name in filter(_BENCH.fullmatch, listing(root / WORK)):
        lock = _lock(root, name)
        with locks.tried(lock) as is_dead:
            if is_dead:
                with disk.writing(root):
                    _clear_bench(root, root / WORK / name)
                    disk.remove(lock)
                healed += 1
    return healed


def dead(root: Path) -> list[Path]:
    """The benches that killed processes left; nothing is changed."""
    return [root / WORK / name for name in sorted(listing(root / WORK)) if _is_dead(root, name)]


def _is_dead(root: Path, name: str) -> bool:
    if not _BENCH.fullmatch(name):
        return False
    lock = _lock(root, name)
    if not lock.exists():
        return True
    with locks.tried(lock) as is_free:
        return is_free


def _lock(root: Path, name: str) -> Path:
    """Held by whoever works there from before the folder is made until after it is removed."""
    return root / locks.LOCKS / f"work-{name}.lock"


def listing(folder: Path) -> dict[str, Stamp]:
    """What is in a folder, by name; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            found = ((one.name, one.stat(follow_symlinks=False)) for one in entries)
            return {n: Stamp(s.st_ino, s.st_size, s.st_mtime_ns) for n, s in found}
    except FileNotFoundError:
        return {}


def is_plain(folder: Path) -> bool:
    """Whether a folder can be exchanged: no symbolic link leads to it, and no folder is in it."""
    with os.scandir(folder) as entries:
        inner = any(one.is_dir(follow_symlinks=False) for one in entries)
    return not inner and folder.resolve() == folder


def is_half_written(name: str) -> bool:
    """Whether a file of this name was being written by cq; under the lock, by nobody any more."""
    return bool(_HALF_WRITTEN.search(name))


def _exchanged(
    root: Path, one: Place, live: Path, inputs: Mapping[str, Stamp], wait_s: float
) -> bool:
    there = listing(live)
    kept = [name for name in there if name not in inputs and not is_half_written(name)]
    if any(there.get(name) != stamp for name, stamp in inputs.items()) or not is_plain(live):
        return False
    if set(kept) & set(listing(one.content)):
        return False
    for name in kept:
        with suppress(FileNotFoundError):  # somebody else's, and gone meanwhile
            disk.link(live / name, one.content / name)
    disk.copy_mode(live, one.content)
    disk.sync_folder(one.content)
    _write_plan(root, one, live, there)
    try:
        with stillness.changing(root, str(live), wait_s):
            disk.exchange(one.content, live)
    except LakeBusy:
        for name in kept:
            disk.remove(one.content / name)
        raise
    disk.sync_folder(live.parent)
    disk.sync_folder(one.path)
    _carry_back(one, live, there)
    return True


def _write_plan(root: Path, one: Place, live: Path, there: Mapping[str, Stamp]) -> None:
    """What healing has to know: which folder, which of the two is the prepared one, what it had."""
    plan = {
        "folder": live.relative_to(root).as_posix(),
        "prepared": one.content.stat().st_ino,
        "there": sorted(there),
    }
    with disk.create(one.path / PLAN) as file:
        disk.append(file, json.dumps(plan).encode())
        disk.sync_file(file)
    disk.sync_folder(one.path)


def _plan(one: Place) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((one.path / PLAN).read_bytes())
    except (FileNotFoundError, ValueError):  # it is whole before anything is exchanged
        return None
    return found


def _clear_bench(root: Path, path: Path) -> None:
    for name in listing(path):
        _clear(root, Place(path / name))
    disk.remove_folder(path)
    with suppress(OSError):  # somebody else is at work
        disk.remove_folder(path.parent)


def _clear(root: Path, one: Place) -> None:
    """Remove a place; what came into the replaced folder after it was listed goes back."""
    plan = _plan(one)
    if plan and one.content.exists() and one.content.stat().st_ino != plan["prepared"]:
        _carry_back(one, root / plan["folder"], plan["there"])
    for name in listing(one.content):
        disk.remove(one.content / name)
    disk.remove_folder(one.content)
    disk.remove(one.path / PLAN)
    disk.remove_folder(one.path)


def _carry_back(one: Place, live: Path, known: Mapping[str, Any] | list[str]) -> None:
    """Give what is not `known` its name in the live folder again; a newer one of the name wins."""
    late = [name for name in listing(one.content) if name not in known]
    for name in late:
        if is_half_written(name):
            continue
        disk.make_folder(live)
        if (one.content / name).is_dir():
            disk.replace(one.content / name, live / name)
            continue
        with suppress(FileExistsError):
            disk.link(one.content / name, live / name)
        disk.remove(one.content / name)
    if late:
        disk.sync_folder(live)
