"""Files that are not what their names say: found by hashing their bytes again.

A file that cq wrote carries the digest of its bytes in its name, so whatever happened to it since
shows. A file of somebody else has to be whole Parquet, with the columns of its dataset.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cq.errors import LakeUnwritable
from cq.lake import footer, places
from cq.lake.damage import altered, problem
from cq.lake.datasets import DATASETS, dataset
from cq.lake.lake import Lake
from cq.lake.layout import is_ours
from cq.lake.verified import Facts, Verified, facts_of
from cq.lake.walk import ANCHOR_FILE

WORKERS: Final = min(8, os.cpu_count() or 1)

CLOSED: Final = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Damaged:
    """A file that is not what it has to be; `closed` is one that may not be read at all."""

    path: Path
    dataset: str
    problem: str
    closed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"path": str(self.path)}


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what of it is damaged."""

    files: int
    bytes: int
    seconds: float
    foreign: int
    """Files that others named, of which only the form can be checked."""
    damaged: tuple[Damaged, ...]


def verify(lake: Lake, symbols: Sequence[str] = (), datasets: Sequence[str] = ()) -> Verification:
    """Hash every file again (of these symbols, of these datasets), and look at its form."""
    started = time.perf_counter()
    paths = _paths(lake, symbols, datasets)
    places.refuse(lake.root, "verifying", "storage keeps checksums of its own; ask its provider")
    known = Verified.read(lake.root)
    looks = _looked_at(lake, paths)
    _remember(known, paths, looks)
    return Verification(
        files=len(paths),
        bytes=sum(facts.size for facts, _ in looks if facts is not None),
        seconds=time.perf_counter() - started,
        foreign=sum(not is_ours(path.name) and path.name != ANCHOR_FILE for path, _ in paths),
        damaged=tuple(found for _, found in looks if found is not None),
    )


def changed(lake: Lake) -> list[Damaged]:
    """The damaged ones among the files that are new, or were changed, since they were verified.

    Size and times tell; bytes that went bad on the disk by themselves are found by `verify` only.
    None on object storage, which keeps checksums of its own.
    """
    if places.is_remote(lake.root):
        return []
    known = Verified.read(lake.root)
    paths = [one for one in _paths(lake, (), ()) if not known.holds(one[0])]
    looks = _looked_at(lake, paths)
    _remember(known, paths, looks)
    return [found for _, found in looks if found is not None]


def look(lake: Lake, path: Path, name: str) -> tuple[Facts | None, Damaged | None]:
    """What one file holds, and what is wrong with it; neither where it is gone."""
    try:
        wrong = altered(path) if is_ours(path.name) else ""
        facts = facts_of(path, dataset(name).time)
        wrong = wrong or _form(lake, path, name)
    except FileNotFoundError:  # compacted, or moved away, since it was listed
        return None, None
    except OSError as error:
        closed = error.errno in CLOSED
        return None, Damaged(path, name, error.strerror or str(error), closed)
    if not wrong:
        return facts, None
    return None, Damaged(path, name, problem(path, whole=False) or wrong)


def _remember(
    known: Verified,
    paths: Sequence[tuple[Path, str]],
    looks: Sequence[tuple[Facts | None, Damaged | None]],
) -> None:
    """Note what is whole, where the lake may be written: it can be found out again."""
    if not paths:
        return
    known.note((path, facts) for (path, _), (facts, _) in zip(paths, looks, strict=True))
    with suppress(LakeUnwritable):
        known.write()


def _looked_at(
    lake: Lake, paths: Sequence[tuple[Path, str]]
) -> list[tuple[Facts | None, Damaged | None]]:
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda one: look(lake, *one), paths))


def _paths(lake: Lake, symbols: Sequence[str], datasets: Iterable[str]) -> list[tuple[Path, str]]:
    """The files to look at, with the dataset of each; the empty ones that views bind to too."""
    found: dict[Path, str] = {}
    for name in datasets or DATASETS:
        layout = lake.layouts[name]
        for symbol in symbols or (None,):
            owner = None if symbol is None else {"symbol": symbol}
            found |= {part.path: name for part in layout.files(lake.root, owner)}
        anchor = lake.root / layout.anchor()
        if not symbols and anchor.exists():
            found[anchor] = name
    return list(found.items())


def _form(lake: Lake, path: Path, name: str) -> str:
    """What is wrong with the form of a file: no Parquet, rows of another folder, a column short."""
    contract = dataset(name)
    if path.name == ANCHOR_FILE:
        return problem(path)
    wrong = footer.misplaced(lake.root, lake.layouts[name], contract, path)
    if wrong or is_ours(path.name):
        return wrong
    return footer.unreadable(path, lake.layouts[name], contract)
