"""The same again: a run's configuration over the lake as it is now, and what came out otherwise."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cq.backtest.asked import settings_of, strategy_of
from cq.backtest.bars import Period, Reading
from cq.backtest.kept import ABSENT, Kept, differing
from cq.backtest.result import DETAIL, FILES
from cq.backtest.single import traded
from cq.errors import CqError, DataError
from cq.lake.damage import digest
from cq.lake.diff import between_prints
from cq.lake.evidence import Question, take
from cq.lake.fingerprint import File, Fingerprint, load
from cq.strategies.loading import load as load_strategy
from cq.utils.time import parse_time
from cq.utils.trading_settings import Backtest

if TYPE_CHECKING:
    from cq.backtest.result import BacktestResult
    from cq.lake import Lake

RESULTS: Final = FILES[:3]
"""What has to come out with the same bytes."""
IMPORTS: Final = "code.imports."
"""Before the name of a file that a user's own code imports."""


@dataclass(frozen=True)
class Rerun:
    """What is the same, and what is not; (then, now) pairs where there are two sides.

    `results`: file → same bytes, same values, other ones, or none. `data`: what differs, series by
    month, in rows then and now. `files`: those of the lake that are gone, changed or new, where
    the data differ; `moved` says that rows lie in other files, which changes nothing. `unknown`
    are files that a user's own code imports and of which an older run does not say what they were.
    `said_now` is what the strategy's file and the settings would have a new run do otherwise.
    """

    run: str
    results: Mapping[str, str]
    data: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    code: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    configuration: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    said_now: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    moved: bool = False

    @property
    def same(self) -> bool:
        """Whether results and data are proven to be the same."""
        return not self.data and set(self.results.values()) <= {"same", "same values"}

    @property
    def imports(self) -> list[str]:
        """The files that a user's own code imports which are not what they were."""
        return _files(self.code)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("run", "same", "results", "metrics", "data", "files", "code", "unknown")
        others = ("configuration", "said_now", "moved")
        return {name: getattr(self, name) for name in (*names, *others)}


def rerun(lake: Lake, kept: Kept, project: Path, settings: Backtest) -> Rerun:
    """Run it again, and hold what comes out against what its folder keeps.

    `settings` are the project's; the run's own are used, and where these differ it is said.
    """
    result = again(lake, kept, project)
    with tempfile.TemporaryDirectory(prefix="cq-rerun-") as temporary:
        result.write(Path(temporary))
        results = {name: _held(kept.folder / name, Path(temporary, name)) for name in RESULTS}
    changes = differing([kept.config, result.config])
    code, unknown = _code(kept, changes)
    data, files = _data(lake, kept.folder, result)
    metrics = differing([kept.metrics, result.metrics]) if results["metrics.json"] != "same" else {}
    return Rerun(
        run=kept.name,
        results=results,
        data=data,
        files=files,
        code=code,
        unknown=unknown,
        configuration=_named(changes, "strategy.", "backtest.", "gate", "symbols", "quote"),
        metrics=metrics,
        said_now=_said_now(kept, project, settings),
        moved=not data and "data.files" in changes,
    )


def again(lake: Lake, kept: Kept, project: Path) -> BacktestResult:
    """The run's own configuration, over the same period; one without an end stops where it did."""
    config = kept.config
    if kept.mode != "backtest":
        raise DataError(f"the mode of {kept.name} is {kept.mode}; only a backtest can be run again")
    missing = [key for key in ("strategy", "backtest", "period", "data") if key not in config]
    if missing or not config["data"].get("files"):
        raise DataError(f"{kept.name} was not made from a lake's files; it cannot be run again")
    strategy, settings = strategy_of(kept, project), settings_of(kept)
    start, end = (None if one is None else parse_time(one) for one in _period(config))
    if end is None:
        end = parse_time(config["data"]["last"]) + 1
    period, quote = Period(start, end), config.get("quote", "")
    result = traded(Reading(lake, strategy, settings, period, quote=quote, say=lambda _: None))
    result.config["period"] = dict(config["period"])
    result.config["strategy"]["exchange"] = config["strategy"].get("exchange")
    return result


def _period(config: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return config["period"]["start"], config["period"]["end"]


def _said_now(kept: Kept, project: Path, settings: Backtest) -> dict[str, list[Any]]:
    """Where the strategy's file and the project's settings say otherwise than the run does."""
    path = project / kept.said["file"] if "file" in kept.said else None
    if path is None or not path.is_file():
        return {}
    try:
        strategy = load_strategy(path, kept.said.get("set", ()))
        asked = strategy.backtest(settings)
    except CqError as error:
        return {"file": [str(path), f"cannot be read any more: {error}"]}
    now = {
        "strategy": strategy.config.model_dump(mode="json", exclude={"backtest"}),
        "backtest": asked.model_dump(mode="json"),
    }
    return differing([{name: kept.config[name] for name in now}, now])


def _held(then: Path, now: Path) -> str:
    if not then.is_file():
        return "missing"
    if then.read_bytes() == now.read_bytes():
        return "same"
    if then.suffix == ".parquet":  # another version of Polars may write other bytes
        try:
            if pl.read_parquet(then).equals(pl.read_parquet(now)):
                return "same values"
        except pl.exceptions.PolarsError:
            return "differs"
    return "differs"


def _named(changes: Mapping[str, list[Any]], *prefixes: str) -> dict[str, list[Any]]:
    return {path: pair for path, pair in changes.items() if path.startswith(prefixes)}


def _code(
    kept: Kept, changes: Mapping[str, list[Any]]
) -> tuple[dict[str, list[Any]], Sequence[str]]:
    """What of the code differs, and files of which the run does not say what they were."""
    code = _named(changes, "code.")
    if "imports" in kept.config.get("code", {}):
        return code, ()
    known = {path: pair for path, pair in code.items() if not path.startswith(IMPORTS)}
    return known, _files(code)


def _files(code: Mapping[str, Any]) -> list[str]:
    return [path.removeprefix(IMPORTS) for path in code if path.startswith(IMPORTS)]


def _data(
    lake: Lake, folder: Path, result: BacktestResult
) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """What of the rows differs, and which files of the lake hold them, of bars and finer ones."""
    found: list[dict[str, Any]] = []
    files: dict[str, list[str]] = {}
    for name, now in (("data.json", result.data), (DETAIL, result.detail)):
        if not (folder / name).is_file():
            if now is not None:
                found.append({"dataset": name, "problem": ABSENT})
            continue
        then = load(folder / name)
        if now is None or sorted(now.columns) != sorted(then.columns):
            now = take(lake, Question.of(then), by=then.by, columns=then.columns)
        differences = [one.as_dict() for one in between_prints(then, now)]
        if differences:
            found += differences
            for kind, paths in changed(lake.root, then, now).items():
                files.setdefault(kind, []).extend(paths)
    return found, files


def changed(root: Path, then: Fingerprint, now: Fingerprint) -> dict[str, list[str]]:
    """Files that are gone, that hold other bytes than they did, and that are new."""
    before, after = ({one.path: one for one in taken.files} for taken in (then, now))
    found = {
        "gone": sorted(path for path in before if not (root / path).is_file()),
        "changed": sorted(path for path, one in before.items() if _differs(root, one)),
        "new": sorted(set(after) - set(before)),
    }
    return {kind: paths for kind, paths in found.items() if paths}


def _differs(root: Path, file: File) -> bool:
    path = root / file.path
    return path.is_file() and digest(path) != file.digest
