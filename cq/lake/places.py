"""Where a lake lies: in a folder of this machine, or below a prefix of S3-compatible storage.

A remote path is one of universal-pathlib, which looks like a `Path`: what is read of a lake is
written once for both. Credentials, endpoint and region come from the environment (`AWS_*`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

from cq.errors import CannotDo, MissingExtra, UsageError
from cq.utils.paths import as_named

S3: Final = "s3://"
FILE: Final = "file://"


def is_address(root: str | Path) -> bool:
    """Whether a root, as it was typed, lies on S3-compatible storage."""
    return isinstance(root, str) and root.startswith(S3)


def is_remote(path: str | Path) -> bool:
    """Whether a path of a lake lies on S3-compatible storage."""
    return not isinstance(path, Path) and str(path).startswith(S3)


def called(root: str | Path) -> Path:
    """The root of a lake as it is called: a folder or a link to one, or what `place` says.

    What belongs to a lake lies beside its name: a link stands for a lake of its own project.
    """
    if isinstance(root, str) and root.startswith(FILE):
        root = root.removeprefix(FILE)
    if isinstance(root, str) and "://" in root and not is_address(root):
        raise UsageError(f"{root}: a lake lies in a folder, or at {S3}bucket/prefix")
    return place(root) if is_remote(root) else as_named(Path(root))


def place(root: str | Path) -> Path:
    """The root of a lake where it lies: the same for all its names, so that they share its locks.

    A folder, `file://…`, or `s3://bucket/prefix`.
    """
    if not is_remote(root):
        return called(root).resolve()
    address = str(root).rstrip("/")
    try:
        from upath import UPath

        from cq.lake.storage import storage
    except ImportError as error:
        raise MissingExtra(address, "s3", error.name or "s3fs") from error
    found: Any = UPath(address)
    found._fs_cached = storage()
    return cast("Path", found)


def at(root: Path, path: str) -> Path:
    """The path that a text names, on the storage of `root`."""
    return cast("Path", cast("Any", root).with_segments(path)) if is_remote(root) else Path(path)


def relative(root: Path, path: Path) -> str:
    """A path below the lake's root, with slashes."""
    return (
        str(path).removeprefix(f"{root}/") if is_remote(root) else path.relative_to(root).as_posix()
    )


def beside(root: Path, name: str) -> Path:
    """A file or folder beside a lake's; of a remote lake, in the folder that one stands in."""
    return Path.cwd() / name if is_remote(root) else root.parent / name


def names_in(folder: str, *, files: bool) -> list[str]:
    """Names below a prefix, of objects or of prefixes."""
    from cq.lake.storage import storage

    try:
        found = storage().ls(folder, detail=True, refresh=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    kind = "file" if files else "directory"
    names = (one["name"].rstrip("/").rpartition("/")[2] for one in found if one["type"] == kind)
    return sorted(names)


def filesystem() -> Any:
    """The storage as fsspec sees it, which DuckDB reads through."""
    from cq.lake.storage import storage

    return storage(remembers=True)


def put(path: Path, content: Any, *, only_new: bool = False) -> None:
    """An object that appears whole; with `only_new`, FileExistsError where there is one."""
    from cq.lake.storage import storage

    mode = "create" if only_new else "overwrite"
    storage().pipe_file(str(path), bytes(memoryview(content)), mode=mode)


def lock_file(path: Path) -> Path:
    """Where the lock of a remote lake lies: on this machine, whose writers it holds apart."""
    name = hashlib.sha256(str(path).encode()).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"cq-locks-{os.getuid()}" / f"{name}.lock"


def refuse(root: Path, what: str, instead: str) -> None:
    """Say plainly that storage cannot do something; nothing where the lake is a folder."""
    if is_remote(root):
        raise CannotDo(root, what, instead)


def readable(paths: Iterable[str | Path]) -> list[str]:
    """Paths as Polars takes them, on either storage."""
    return [str(path) for path in paths]
