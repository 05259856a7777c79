"""What a sweep has found so far, kept so that the same sweep can go on after it was stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from cq.errors import DataError, UsageError
from cq.sweeps.figures import Failed, Invalid, Trial
from cq.utils.files import beside

Outcome = Trial | Failed | Invalid
FOLDER: Final = ".unfinished"
"""Below runs/: a folder for each sweep that was stopped, named by what was asked."""
FEW: Final = 16
"""Outcomes that wait to be written, or a quarter of those that are there, if that is more."""
KINDS: Final = {"trial": Trial, "failed": Failed, "invalid": Invalid}
SCHEMA: Final[dict[str, Any]] = {
    "number": pl.Int64, "kind": pl.String, "params": pl.String, "figures": pl.String,
    "cash": pl.Float64, "sums": pl.List(pl.Float64), "squares": pl.List(pl.Float64),
    "error": pl.String, "code": pl.Int64,
}  # fmt: skip


class Unfinished:
    """The outcomes of one sweep as they come; with `resume` it goes on from those that are there.

    `before` are those, `numbers` the places in the sweep of all that is known by now. Parts are
    written a few at a time, each whole or not at all. Without `runs` nothing is kept.
    """

    def __init__(self, runs: Path | None = None, *, resume: bool = False) -> None:
        self.runs, self.resume = runs, resume
        self.folder: Path | None = None
        self.before: list[Outcome] = []
        self.numbers: set[int] = set()
        self._new: list[Outcome] = []
        self._parts = 0

    def begin(self, asked: Callable[[], Mapping[str, Any]]) -> None:
        """Go on with a sweep that was asked the same, or begin it.

        UsageError where there is nothing to go on from.
        """
        if self.runs is None:
            return
        text = json.dumps(asked(), sort_keys=True, default=str)
        folder = self.runs / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:16]
        parts = sorted(folder.glob("part-*.parquet"))
        if self.resume:
            if not parts:
                raise UsageError(
                    "--resume: no sweep that was stopped had this strategy, grid, period, bars and "
                    "code; leave it out to begin one"
                )
            self.before = [one for part in parts for one in _read(part)]
            self.numbers = {one.number for one in self.before}
        else:
            shutil.rmtree(folder, ignore_errors=True)
            parts = []
        self.folder, self._parts = folder, len(parts)

    def keep(self, outcome: Outcome) -> None:
        """Keep one outcome, if it is new."""
        if self.folder is None or outcome.number in self.numbers:
            return
        self.numbers.add(outcome.number)
        self._new.append(outcome)
        if len(self._new) >= max(FEW, len(self.numbers) // 4):
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self.folder is None or not self._new:
            return
        rows = pl.DataFrame([_row(one) for one in self._new], SCHEMA)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with beside(self.folder / f"part-{self._parts:06d}.parquet") as path:
                rows.write_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            raise DataError(f"cannot keep trials in {self.folder} ({reason})") from None
        self._parts += 1
        self._new.clear()

    def finish(self) -> None:
        """Forget all of it: the sweep is done and written, or nothing can come of it."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # other sweeps may have stopped
                self.folder.parent.rmdir()


def _row(outcome: Outcome) -> dict[str, Any]:
    kind = next(name for name, of in KINDS.items() if isinstance(outcome, of))
    row = {"number": outcome.number, "kind": kind, "params": _text(outcome.params)}
    if isinstance(outcome, Trial):
        sums, squares = (np.asarray(one).tolist() for one in (outcome.sums, outcome.squares))
        figures = {"figures": _text(outcome.figures), "cash": outcome.cash}
        return row | figures | {"sums": sums, "squares": squares, "error": None, "code": None}
    said = {"error": str(outcome.error), "code": getattr(outcome.error, "exit_code", 2)}
    return row | {"figures": None, "cash": None, "sums": None, "squares": None} | said


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, default=lambda one: one.item())


def _read(part: Path) -> list[Outcome]:
    try:
        rows = pl.read_parquet(part).to_dicts()
        return [_outcome(row) for row in rows]
    except (OSError, pl.exceptions.PolarsError, ValueError, KeyError) as error:
        raise DataError(
            f"{part} cannot be read ({str(error).partition(chr(10))[0]}); leave --resume out"
        ) from None


def _outcome(row: Mapping[str, Any]) -> Outcome:
    number, params = row["number"], json.loads(row["params"])
    if row["kind"] == "trial":
        sums, squares = np.array(row["sums"]), np.array(row["squares"])
        return Trial(number, params, json.loads(row["figures"]), row["cash"], sums, squares)
    error = (DataError if row["code"] == 3 else UsageError)(row["error"])
    return (
        Failed(number, params, error) if row["kind"] == "failed" else Invalid(number, params, error)
    )
