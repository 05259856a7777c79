"""Which code made a result: the version of cq, and a digest of its sources."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import cq

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
