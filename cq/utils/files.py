"""Files that appear whole or not at all, in whatever moment the process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path to write to: the file there takes the place of `path` once the block is done.

    Where the block fails nothing is left behind, and `path` is what it was.
    """
    written = path.with_name(f".{path.name}.tmp")
    try:
        yield written
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """The file with this content."""
    with beside(path) as written:
        written.write_text(content, encoding="utf-8")


def can_write_in(folder: Path) -> bool:
    """Whether files can be made in a folder, or where it would have to be made."""
    return os.access(next(one for one in (folder, *folder.parents) if one.exists()), os.W_OK)
