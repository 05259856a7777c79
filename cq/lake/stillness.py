"""Folders stay as they are while a question lists them.

DuckDB lists a folder, then asks the file system about each name that it found, and passes over
what is not there any more; and it lists one folder after the other. So whoever asks holds the lake
still until that is done, and whoever exchanges a folder, or lands rows of one series in several
folders, waits for a moment in which nobody asks. A second lock, the gate, lets nobody begin to ask
meanwhile; it is closed for moments only. Both die with the process that holds them.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cq.errors import LakeBusy, LakeUnwritable
from cq.lake import disk, locks, places

GATE, LOCK = "still-gate", "still"
"""Not called `.lock`: nobody who looks for locks that are free takes them away."""
CLOSED_S = 0.05
"""How long the gate is closed at a time; questions wait for it."""
OPEN_S = 0.1
"""How long questions go first after that."""
POLL_S = 0.001


@contextmanager
def still(root: Path) -> Iterator[None]:
    """Nothing in a folder of the lake changes its name in this block.

    Where no cq has ever changed anything, or this one may not even make a lock, there is none.
    """
    try:
        gate, lock = _both(root, make=(root / locks.LOCKS).is_dir())
    except OSError:
        yield
        return
    try:
        try:
            fcntl.flock(gate, fcntl.LOCK_SH)
            fcntl.flock(lock, fcntl.LOCK_SH)
        finally:
            os.close(gate)
        yield
    finally:
        os.close(lock)


@contextmanager
def changing(root: Path, what: str, wait_s: float) -> Iterator[None]:
    """Nobody lists the lake's folders in this block; LakeBusy where somebody does all the time."""
    until = time.monotonic() + wait_s
    try:
        gate, lock = _both(root, make=True)
    except OSError as error:
        raise LakeUnwritable(root, error.strerror or str(error)) from error
    try:
        while not _alone(gate, lock):
            if time.monotonic() >= until:
                raise LakeBusy(what, "questions that take long to answer", "read")
            fcntl.flock(gate, fcntl.LOCK_UN)
            time.sleep(OPEN_S)
        yield
    finally:
        os.close(lock)
        os.close(gate)


def _alone(gate: int, lock: int) -> bool:
    """Whether nobody asks, tried for a moment; afterwards the gate is closed."""
    fcntl.flock(gate, fcntl.LOCK_EX)
    until = time.monotonic() + CLOSED_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_S)


def _both(root: Path, *, make: bool) -> tuple[int, int]:
    """The gate and the lock, opened; to hold them one need not be able to write them."""
    if places.is_remote(root):
        raise FileNotFoundError(root)
    folder = root / locks.LOCKS
    if make and not folder.is_dir():
        disk.make_folder(folder)
    how = os.O_RDONLY | (os.O_CREAT if make else 0)
    gate = os.open(folder / GATE, how, 0o666)
    try:
        return gate, os.open(folder / LOCK, how, 0o666)
    except BaseException:
        os.close(gate)
        raise
