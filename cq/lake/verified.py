"""What a lake remembers of files that were found whole: their size, their times, what they hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from cq.lake import disk
from cq.lake.spans import opened, spans

STATE: Final = ".verified.json"


@dataclass(frozen=True)
class Facts:
    """One file when it was whole: rows, and the first and last value of its dataset's time."""

    size: int
    mtime_ns: int
    ctime_ns: int
    rows: int
    first: int | None
    last: int | None


def facts_of(path: Path, time: str) -> Facts | None:
    """What a file says of itself now; None where it is no whole Parquet file."""
    stat = path.stat()
    try:
        with opened(path) as file:
            rows = file.metadata.num_rows
            first, last = spans(file, [time]).get(time, (None, None))
    except (pa.ArrowException, OSError, ValueError):
        return None
    if not isinstance(first, int):
        first = last = None
    return Facts(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, rows, first, last)


class Verified:
    """The record of one lake."""

    def __init__(self, root: Path, files: dict[str, Facts]) -> None:
        self.root, self.files = root, files

    @classmethod
    def read(cls, root: Path) -> Verified:
        """What is remembered; nothing where that cannot be read, it can be found out again."""
        try:
            found = json.loads((root / STATE).read_text(encoding="utf-8"))
            return cls(root, {name: Facts(*one) for name, one in found["files"].items()})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls(root, {})

    def of(self, path: Path) -> Facts | None:
        """What a file held when it was whole."""
        return self.files.get(self._name(path))

    def holds(self, path: Path) -> bool:
        """Whether a file is as it was when it was found whole."""
        known = self.of(path)
        try:
            stat = path.stat()
        except OSError:
            return False
        return known is not None and (known.size, known.mtime_ns, known.ctime_ns) == (
            stat.st_size,
            stat.st_mtime_ns,
            stat.st_ctime_ns,
        )

    def note(self, found: Iterable[tuple[Path, Facts | None]]) -> None:
        """Remember files that are whole; of others what they held before."""
        for path, facts in found:
            if facts is not None:
                self.files[self._name(path)] = facts

    def write(self) -> None:
        """Keep it, without the files that are there no more."""
        there = {name: astuple(f) for name, f in self.files.items() if (self.root / name).exists()}
        beside = self.root / f"{STATE}.{os.getpid()}.tmp"
        with disk.writing(self.root):
            with disk.create(beside) as file:
                disk.append(file, json.dumps({"files": there}).encode())
            disk.replace(beside, self.root / STATE)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))
