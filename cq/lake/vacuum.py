"""Leftovers out of a lake: what killed processes left, empty folders, old quarantine, free locks.

No row goes but those of old order books, where a setting says how old they may get. Everything is
looked at and removed under the lock that writers of the folder take, or is of a process that is no
longer alive; where somebody is at work, it stays for the next time.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from cq.errors import ConfigError
from cq.lake import disk, locks, parquet, swap
from cq.lake.datasets import ORDERBOOK_L2
from cq.lake.lake import Lake
from cq.lake.layout import Layout
from cq.lake.quarantine import FOLDER as QUARANTINE
from cq.utils.time import DAY

QUARANTINE_DAYS: Final = 30
WORK, HALF_WRITTEN, OLD, EMPTY, LOCK = "work", "half written", "quarantine", "empty folder", "lock"
BOOKS: Final = "order books"

_HALF_WRITTEN = re.compile(r"\.(\d+)(?:\.parquet)?\.tmp$")
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


@dataclass(frozen=True)
class Removed:
    """One thing that went: its kind, where it was in the lake, how much it was."""

    kind: str
    what: str
    files: int = 1
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def vacuum(
    lake: Lake,
    *,
    now_ns: int,
    quarantine_days: float | None = QUARANTINE_DAYS,
    orderbook_days: float | None = None,
    dry_run: bool = False,
) -> list[Removed]:
    """Remove leftovers; what went. The next run completes one that was killed.

    Files in `quarantine/` go after `quarantine_days`, with None never; so do order books whose
    calendar folder ended `orderbook_days` ago. Bars and trades stay: what is known of a gap rests
    on them. With `dry_run` nothing is changed. LakeUnwritable where something cannot be removed,
    ConfigError where order books lie in no calendar folders.
    """
    sweep = _Sweep(lake, dry_run)
    with disk.writing(lake.root):
        sweep.work()
        there = sweep.locks()
        if quarantine_days is not None:
            sweep.quarantined(now_ns - int(quarantine_days * DAY))
        if orderbook_days is not None:
            sweep.books(now_ns - int(orderbook_days * DAY))
        sweep.folders()
        sweep.free(there)
    return sweep.gone


@dataclass
class _Sweep:
    """One run over one lake; `gone` is what went, or what would."""

    lake: Lake
    dry_run: bool
    gone: list[Removed] = field(default_factory=list)
    going: set[Path] = field(default_factory=set)
    """Files and folders that went, or would."""

    def work(self) -> None:
        """What killed processes left in `.work`."""
        for path in swap.dead(self.lake.root):
            sizes = [one.lstat().st_size for one in path.rglob("*") if one.is_file()]
            self._note(WORK, path, len(sizes), sum(sizes))
        if not self.dry_run:
            swap.heal(self.lake.root)
            with suppress(OSError):  # somebody is at work there
                disk.remove_folder(self.lake.root / swap.WORK)

    def quarantined(self, until_ns: int) -> None:
        """Files that were moved to `quarantine/` before `until_ns`; a move changes their ctime."""
        for path in sorted((self.lake.root / QUARANTINE).rglob("*")):
            stat = path.lstat()
            if (path.is_symlink() or path.is_file()) and stat.st_ctime_ns < until_ns:
                self._remove(OLD, path)

    def books(self, until_ns: int) -> None:
        """Files of ours in calendar folders of order books that ended by `until_ns`."""
        layout = self.lake.layouts[ORDERBOOK_L2.name]
        if not layout.depth:
            raise ConfigError(
                "retention.orderbook_days",
                f"needs calendar folders, and {layout.template} has none; add some to "
                f"partitions.{layout.dataset}.path of a new lake, or set it to null",
            )
        old = [
            part
            for part in layout.files(self.lake.root, end=until_ns)
            if part.is_ours and layout.span(part.when)[1] <= until_ns
        ]
        for folder, parts in groupby(old, key=lambda part: part.path.parent):
            with self._alone(layout, folder.relative_to(self.lake.root)) as is_free:
                for part in parts if is_free else ():
                    self._remove(BOOKS, part.path)

    def folders(self) -> None:
        """Half-written files of dead writers, and folders that hold nothing, from the leaves up."""
        root = self.lake.root
        for name, _, _ in os.walk(root, topdown=False):
            folder = Path(name)
            home = folder.relative_to(root)
            if home.parts and home.parts[0] in (swap.WORK, locks.LOCKS):
                continue
            layout, home = self._home(home)
            if not self._left_in(folder) and not self._is_empty(folder, layout):
                continue
            with self._alone(layout, home) as is_free:
                if is_free:
                    self._swept(folder, layout)

    def _swept(self, folder: Path, layout: Layout | None) -> None:
        for path in self._left_in(folder):
            self._remove(HALF_WRITTEN, path)
        if not self._is_empty(folder, layout):
            return
        try:
            if not self.dry_run:
                disk.remove_folder(folder)
        except OSError as error:
            if error.errno in _NOT_EMPTY:  # somebody wrote there just now
                return
            raise
        self._note(EMPTY, folder, 0, 0)

    def _home(self, folder: Path) -> tuple[Layout | None, Path]:
        """The layout that makes a folder, and the folder's place in it; quarantine has the same."""
        if folder.parts[:1] == (QUARANTINE,):
            folder = folder.relative_to(QUARANTINE)
        fits = (one for one in self.lake.layouts.values() if one.is_level(folder))
        return (next(fits, None) if folder.parts else None), folder

    @contextmanager
    def _alone(self, layout: Layout | None, home: Path) -> Iterator[bool]:
        """Hold the lock of a folder that tells whose it is; above those there is none."""
        told = layout.told(home) if layout else {}
        if layout is None or any(n in layout.fields and n not in told for n in locks.NAMING):
            yield True
            return
        lock = locks.of_folder(self.lake.root, layout, told)
        waits = self.dry_run and not lock.exists()
        with nullcontext(True) if waits else locks.tried(lock) as is_free:
            yield is_free

    def _left_in(self, folder: Path) -> list[Path]:
        """Files that a writer who is no longer alive was writing."""
        return [
            folder / name
            for name in self._names(folder)
            if (found := _HALF_WRITTEN.search(name)) and not parquet.alive(int(found[1]))
        ]

    def _is_empty(self, folder: Path, layout: Layout | None) -> bool:
        """Whether nothing would be left in a folder that cq made."""
        ours = layout is not None or QUARANTINE in folder.relative_to(self.lake.root).parts[:1]
        return ours and folder.exists() and set(self._names(folder)) <= self._torn(folder)

    def _torn(self, folder: Path) -> set[str]:
        return {path.name for path in self._left_in(folder)}

    def _names(self, folder: Path) -> list[str]:
        """What is in a folder and does not go anyway."""
        try:
            return [name for name in sorted(os.listdir(folder)) if folder / name not in self.going]  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            return []

    def locks(self) -> list[Path]:
        """The lock files that are there; those of killed work count with it."""
        there = sorted((self.lake.root / locks.LOCKS).glob("*.lock"))
        work = {f"work-{Path(one.what).name}.lock" for one in self.gone if one.kind == WORK}
        return [path for path in there if path.name not in work]

    def free(self, there: Iterable[Path]) -> None:
        """Lock files that nobody holds; who waits for one sees that it went, and makes it anew."""
        told = [path for path in there if path.exists()]
        sizes = []
        for path in told if self.dry_run else self.locks():
            with locks.tried(path) as is_free:
                if is_free:
                    sizes += [path.stat().st_size] * (path in told)
                    if not self.dry_run:
                        disk.remove(path)
        if sizes:
            self._note(LOCK, self.lake.root / locks.LOCKS, len(sizes), sum(sizes))

    def _remove(self, kind: str, path: Path) -> None:
        try:
            size = path.lstat().st_size
        except FileNotFoundError:
            return
        if not self.dry_run:
            disk.remove(path)
        self._note(kind, path, 1, size)

    def _note(self, kind: str, path: Path, files: int, size: int) -> None:
        self.going.add(path)
        self.gone.append(Removed(kind, path.relative_to(self.lake.root).as_posix(), files, size))
