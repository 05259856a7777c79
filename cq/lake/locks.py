"""One writer at a time: a lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from cq.errors import LakeBusy, LakeUnwritable
from cq.lake import places
from cq.lake.layout import Layout
from cq.lake.template import safe

LOCKS = ".locks"
POLL_S = 0.02
NAMING = ("exchange", "symbol")


def of_folder(root: Path, layout: Layout, owner: Mapping[str, str | None]) -> Path:
    """The lock of the folders of an owner; every writer of any of them takes it.

    It is named by what their names tell: where folders have no exchange, exchanges share it.
    `owner` may be an owner of rows or what the name of a folder says.
    """
    who = tuple(safe(owner.get(name)) for name in NAMING if name in layout.fields)
    return _named(root, layout.dataset, who)


@lru_cache(maxsize=4096)
def _named(root: Path, dataset: str, who: tuple[str, ...]) -> Path:
    return root / LOCKS / f"{'-'.join([dataset, *who])}.lock"


@contextmanager
def held(path: Path, what: str, wait_s: float, doing: str = "written") -> Iterator[None]:
    """Hold the lock file at `path`; LakeBusy names the owner after `wait_s` seconds."""
    until = time.monotonic() + wait_s
    while (handle := _taken(path)) is None:
        if time.monotonic() >= until:
            raise LakeBusy(what, owner(path), doing)
        time.sleep(POLL_S)
    try:
        _sign(handle, _local(path))
        yield
    finally:
        os.close(handle)


@contextmanager
def tried(path: Path) -> Iterator[bool]:
    """Hold the lock file at `path` if nobody does; whether it is held."""
    handle = _taken(path)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


def _taken(path: Path) -> int | None:
    """The lock, or None while somebody has it; a file that was just removed is no lock."""
    path = _local(path)
    while True:
        try:
            handle = _opened(path)
        except OSError as error:
            raise LakeUnwritable(path.parent, error.strerror or str(error)) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            pass
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _local(path: Path) -> Path:
    """The lock itself; storage has none, so that its writers are held apart a machine at a time."""
    return places.lock_file(path) if places.is_remote(path) else path


def _sign(handle: int, path: Path) -> None:
    name = f"{os.getpid()}\n".encode()
    try:
        if os.pread(handle, len(name) + 1, 0) != name:  # a change of a file may wait for the disk
            os.ftruncate(handle, 0)
            os.pwrite(handle, name, 0)
    except OSError as error:
        raise LakeUnwritable(path.parent, error.strerror or str(error)) from error


def owner(path: Path) -> str:
    """Who wrote itself into the lock file."""
    try:
        pid = _local(path).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        pid = ""
    return f"process {pid}" if pid else "another process"
