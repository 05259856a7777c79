"""Runs as their folders keep them: found by name, read, held against each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import polars as pl

from cq.backtest.definitions import BY_NAME
from cq.errors import DataError
from cq.lake.damage import damaged_run

LAST: Final = "last"
"""Instead of a name: the newest run."""
ABSENT: Final = "(absent)"


@dataclass(frozen=True)
class Kept:
    """What the folder of a run says: its configuration, metrics, and what is its own alone."""

    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    said: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, which is the run's; of a trial with its number."""
        return str(self.said["id"]) if self.mode == "trial" else self.folder.name

    @property
    def mode(self) -> str:
        """backtest, paper, replay, or trial (of a sweep)."""
        return str(self.said.get("mode", "backtest"))

    @property
    def values(self) -> dict[str, Any]:
        """The metrics, and those of luck."""
        luck = {name: self.said[name] for name in ("trials", "dsr") if name in self.said}
        return {**self.metrics, **luck}

    @classmethod
    def of(cls, folder: Path) -> Kept:
        """The run in a folder; DataError where it is none, or cannot be read."""
        config, metrics, said = (_read(folder, name) for name in ("config", "metrics", "run"))
        _check(config, folder / "config.json")
        return cls(folder, config, metrics, said)


def _check(config: Mapping[str, Any], path: Path) -> None:
    """DataError where a configuration is not of the form that runs write."""
    data = config.get("data") or {}
    wrong = [
        f"{name}: found {config.get(name)!r:.40}, expected an object"
        for name in ("strategy", "backtest", "code", "data", "period")
        if not isinstance(config.get(name), Mapping) and (name in config or name == "strategy")
    ] or [f"data: no {name}" for name in ("rows", "first", "last") if data and name not in data]
    if wrong:
        raise DataError(
            f"{path} is no configuration of a run ({wrong[0]}); take the folder away, and run it "
            "again"
        )


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    if name == "run" and not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
        reason = "no JSON object"
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:
        reason = f"no JSON: {error}"
    raise DataError(f"{path} cannot be read ({reason}); is {folder} the folder of a run?")


def find(runs: Path, name: str, mode: str | None = None) -> Kept:
    """The run of that name, path, unique beginning or part of one, or the `last` (of `mode`).

    A trial is named by its sweep and number.
    """
    path = Path(name)
    if (path / "config.json").is_file():
        return Kept.of(path.resolve())
    if path.name.isdigit() and (runs / path.parent / "trials.parquet").is_file():
        return _trial(runs / path.parent, int(path.name))
    if (runs / path / "trials.parquet").is_file():
        raise DataError(f"{path} is a sweep; name one of its trials, such as {path}/1")
    there = sorted(one.parent.name for one in runs.glob("*/config.json"))
    if name == LAST and there:
        return _last(runs, there, mode)
    for chosen in (
        [one for one in there if one == name],
        [one for one in there if one.startswith(name)],
        [one for one in there if name in one],
    ):
        if len(chosen) == 1:
            return Kept.of(runs / chosen[0])
        if chosen:
            raise DataError(f"{name!r} may be {_some(chosen)}; say more of its name")
    if not there:
        raise DataError(f"no runs in {runs}; make one with `cq backtest FILE`")
    if near := get_close_matches(name, there, n=1):
        raise DataError(f"no run {name!r}; did you mean {near[0]}?")
    raise DataError(f"no run {name!r} among {len(there)}; `cq runs list` shows them")


def _last(runs: Path, names: Sequence[str], mode: str | None) -> Kept:
    for name in sorted(names, key=lambda one: (_started(runs / one), one), reverse=True):
        found = Kept.of(runs / name)
        if mode in (None, found.mode):
            return found
    raise DataError(f"no {mode} among {len(names)} runs; make one with `cq {mode} FILE`")


def _trial(folder: Path, number: int) -> Kept:
    """One trial of a sweep, from the row that the sweep keeps of it."""
    path = folder / "trials.parquet"
    try:
        rows = pl.scan_parquet(path).filter(pl.col("trial") == number).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise damaged_run(path, str(error).partition("\n")[0]) from None
    name = f"{folder.name}/{number}"
    if rows.is_empty():
        raise DataError(f"no trial {name}; `cq runs list --trials` shows them")
    row = rows.row(0, named=True)
    metrics = {key: row[key] for key in BY_NAME if row.get(key) is not None}
    said = {"id": name, "mode": "trial", "started": row["started"]}
    return Kept(folder, json.loads(row["config"]), metrics, said)


def _started(folder: Path) -> tuple[str, int]:
    """The second in which the run began, and of several in one second when its account ended."""
    try:
        started = str(_read(folder, "run").get("started", ""))
        return started, (folder / "run.json").stat().st_mtime_ns if started else 0
    except (DataError, OSError):
        return "", 0


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def flattened(value: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its path, as `strategy.sizing.fraction`; lists are values."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flattened(inner, f"{above}.{key}" if above else str(key))
    else:
        yield above, value


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Path → its value in each of the configurations, where they are not all the same.

    What is empty in one is absent there, as what others have below it is.
    """
    flat = [{path: value for path, value in flattened(one) if value != {}} for one in configs]
    paths = dict.fromkeys(path for one in flat for path in one)
    return {
        path: [one.get(path, ABSENT) for one in flat]
        for path in paths
        if any(one.get(path, ABSENT) != flat[0].get(path, ABSENT) for one in flat)
    }
