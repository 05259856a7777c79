"""Paths by the names that people give them."""

from __future__ import annotations

from pathlib import Path


def as_named(path: Path) -> Path:
    """A path, absolute and without links on its way; where it is a link itself, the link."""
    path = path.expanduser().absolute()
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
