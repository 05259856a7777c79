"""One writer at a time: a lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cq.errors import LakeBusy, LakeUnwritable

POLL_S = 0.02


@contextmanager
def held(path: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold the lock file at `path`; LakeBusy names the owner after `wait_s` seconds."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise LakeUnwritable(path.parent, error.strerror or str(error)) from error
    try:
        _take(handle, path, what, wait_s)
        _sign(handle, path)
        yield
    finally:
        os.close(handle)


def _sign(handle: int, path: Path) -> None:
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise LakeUnwritable(path.parent, error.strerror or str(error)) from error


def _take(handle: int, path: Path, what: str, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise LakeBusy(what, owner(path)) from None
            time.sleep(POLL_S)
        else:
            return


def owner(path: Path) -> str:
    """Who wrote itself into the lock file."""
    pid = path.read_text(encoding="ascii", errors="replace").strip()
    return f"process {pid}" if pid else "another process"
