"""Whose a folder of results is: what is written over, and what is never touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cq.errors import DataError, UsageError

MARKS: Final = {
    "backtest": ("config.json", {"strategy", "backtest", "data"}),
    "sweep": ("sweep.json", {"strategy", "best", "config"}),
    "walkforward": ("walkforward.json", {"strategy", "folds", "config"}),
    "cpcv": ("cpcv.json", {"strategy", "splits", "config"}),
}
"""The file by which a folder is one of a backtest, a sweep, …, and keys that such a file has."""
UNFINISHED: Final = ".unfinished"
"""Lies in a folder while a backtest writes into it: what was stopped there may be written again."""


@contextmanager
def being_written(folder: Path) -> Iterator[None]:
    """A block that writes a backtest's results; until it is done the folder says that it is not."""
    mark = folder / UNFINISHED
    mark.touch()
    yield
    mark.unlink(missing_ok=True)


def refuse_others(folder: Path, what: str) -> None:
    """UsageError where `folder` holds anything and is no folder of `what`: `--out` would write over
    files of somebody else, or make two kinds of results of one folder."""
    try:
        if not any(folder.iterdir()):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"--out {folder}: {error.strerror}; name another folder") from None
    kinds = [kind for kind, mark in MARKS.items() if _is_marked(folder, *mark)]
    if not kinds and what == "backtest" and (folder / UNFINISHED).is_file():
        return
    if kinds != [what]:
        found = f"results of cq {kinds[0]}" if kinds else f"files that are no results of cq {what}"
        raise UsageError(
            f"--out {folder}: found {found} there, which would be written over; "
            "name a new or an empty folder"
        )


def _is_marked(folder: Path, name: str, keys: set[str]) -> bool:
    """Whether the folder has a file of this name with these keys."""
    try:
        said: Any = json.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and keys <= set(said)
