"""Where the files that come with cq lie, and which of a project's files are copies of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent

RECORD = ".cq.json"
"""In a project folder: what `cq init` wrote there, path by path, with digests."""


@cache
def resource_root() -> Path:
    """The folder with `configs/`, `sql/` and `lake/`: inside the wheel, or the source checkout."""
    packed = _PACKAGE / "_project"
    return packed if packed.is_dir() else _PACKAGE.parent


def copies(project: Path) -> dict[str, str]:
    """Path → digest of each file that `cq init` wrote into `project`; none where no record is."""
    try:
        found = json.loads((project / RECORD).read_text(encoding="utf-8"))["files"]
        return {str(path): str(digest) for path, digest in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def is_copy(path: Path, project: Path, known: Mapping[str, str]) -> bool:
    """Whether `path` is as `cq init` wrote it, nobody's work; `known` are the project's copies."""
    digest = known.get(path.relative_to(project).as_posix())
    try:
        return digest is not None and digest == digest_of(path.read_bytes())
    except OSError:
        return False


def digest_of(content: bytes) -> str:
    """Sixteen digits that name a text, whichever line ends git gave it."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()[:16]
