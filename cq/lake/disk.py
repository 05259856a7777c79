"""The doors to the disk: every change in a lake's folder goes through one of these functions.

So a test can end the process before and after each of them, and can let each of them fail. They are
called by module (`disk.replace(…)`), never by a name of one's own.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BufferedIOBase, FileIO
from pathlib import Path
from typing import Any

from cq.errors import CannotExchange, LakeUnwritable
from cq.lake import places

DOORS = (
    *("make_folder", "create", "append", "sync_file", "sync_folder"),
    *("replace", "link", "copy_mode", "exchange", "remove", "remove_folder"),
    "put",
)
UNABLE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV)
UNLINKABLE = (errno.EPERM, errno.EMLINK, *UNABLE)
HERE = -100
"""The directory that relative paths begin in, as Linux names it."""
SWAP = 2
"""Both systems' flag for "these two change their names"."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A block that changes what is in `folder`; what the system refuses is a LakeUnwritable."""
    try:
        yield
    except OSError as error:
        raise LakeUnwritable(folder, error.strerror or str(error)) from error


def make_folder(folder: Path) -> None:
    """The folder and those above it; one above that is just being removed as empty comes again."""
    for _ in range(3):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return
    folder.mkdir(parents=True, exist_ok=True)


def create(path: Path) -> FileIO:
    """An empty file to append to."""
    return FileIO(path, "wb")


def append(file: FileIO, content: Any) -> None:
    """More bytes at the end of a file."""
    left = memoryview(content).cast("B")
    while left:
        left = left[file.write(left) :]


def sync_file(file: FileIO | BufferedIOBase) -> None:
    """Make what a file holds survive a power cut."""
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(source: Path, target: Path) -> None:
    """Give a file another name, in the place of what has it."""
    source.replace(target)


def link(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system knows no second names."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in UNLINKABLE:
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    if not target.is_symlink():
        with target.open("rb") as file:
            os.fsync(file.fileno())


def copy_mode(source: Path, target: Path) -> None:
    """Let a folder be open to whom another one is."""
    target.chmod(source.stat().st_mode & 0o7777)


def exchange(one: Path, other: Path) -> None:
    """Two folders take each other's name, in one step that nobody sees half of."""
    function, arguments = _exchanger()
    if function is None:
        raise CannotExchange(other)
    before, after = (os.fsencode(path) for path in (one, other))
    if function(*arguments(before, after)):
        number = ctypes.get_errno()
        if number in UNABLE:
            raise CannotExchange(other)
        raise OSError(number, os.strerror(number), str(other))


@cache
def _exchanger() -> tuple[Any, Any]:
    """The system's function, and how it takes two names; None where there is none."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        return getattr(library, "renamex_np", None), lambda one, other: (one, other, SWAP)
    return getattr(library, "renameat2", None), lambda one, other: (HERE, one, HERE, other, SWAP)


def put(path: Path, content: Any, *, only_new: bool = False) -> None:
    """An object of remote storage, whole at once; FileExistsError where `only_new` says so."""
    places.put(path, content, only_new=only_new)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Remove an empty folder, if it is there."""
    with suppress(FileNotFoundError):
        folder.rmdir()
