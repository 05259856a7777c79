"""Which code made a result: the version of cq, a digest of its sources, and a user's own."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cq

if TYPE_CHECKING:
    from cq.strategies import Strategy

PARTS = ("backtest", "features", "indicators", "lake", "stats", "strategies", "signals.py")
"""The sources that a result follows from."""


@cache
def _sources() -> str:
    """Twelve digits that change with any line of code; read once, as the code is."""
    root = Path(cq.__file__).parent
    hashed = hashlib.sha256()
    for part in PARTS:
        path = root / part
        for one in sorted(path.glob("**/*.py")) if path.is_dir() else [path]:
            hashed.update(one.read_bytes())
    return hashed.hexdigest()[:12]


def code_version() -> dict[str, str]:
    """`cq`: the version; `sources`: the digest of all that a result follows from."""
    return {"cq": cq.__version__, "sources": _sources()}


def code_of(strategy: Strategy) -> dict[str, Any]:
    """The code that a result follows from: cq's, and a user's own.

    `python`: the SHA-256 of the user's Python file; `imports`: those of the user's other files that
    it imports.
    """
    own = strategy.code
    if own is None:
        return {**code_version()}
    return code_version() | {"python": own.digest, "imports": dict(own.imports)}
