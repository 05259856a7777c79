"""Reports of quality, one a day: kept in the lake, and looked up again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cq.lake import disk
from cq.lake.places import is_remote
from cq.utils.time import from_ns, parse_time

if TYPE_CHECKING:
    from cq.lake.quality import QualityReport

NAME: Final = "quality_report.json"


class Kept(NamedTuple):
    """The report of a day, and those of some symbols that it was chosen for."""

    day: str
    said: Mapping[str, Any]
    symbols: frozenset[str]


def write_report(report: QualityReport, now_ns: int) -> Path | None:
    """Put the report into the lake, JSON and a page for each UTC day; the day's newest wins.

    One that looked at less than the day's report did is not kept: None.
    """
    folder = report.lake / "quality" / f"{from_ns(now_ns):%Y-%m-%d}"
    target, said = folder / NAME, report.as_dict()
    before = _read(target)
    if before is not None and _covers(before, said) and not _covers(said, before):
        return None
    texts = {
        target.with_suffix(".html"): report.page(),
        target: json.dumps(said, indent=2) + "\n",
    }
    with disk.writing(folder):
        if not is_remote(folder):
            disk.make_folder(folder)
        for path, text in texts.items():
            if is_remote(path):
                disk.put(path, text.encode())
                continue
            beside = folder / f"{path.name}.{os.getpid()}.tmp"
            with disk.create(beside) as file:
                disk.append(file, text.encode())
            disk.replace(beside, path)
    return target


def reports_on(root: Path, symbols: Iterable[str], start: int | None) -> list[Kept]:
    """The newest report that looked at each of the symbols, from `start` on at least.

    Where none looked that far back, the newest that looked at the symbol at all.
    """
    left, found = set(symbols), []
    later: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for day, said in _newest_first(root):
        if not left:
            break
        about = {one for one in left if _looked_at(said, [one])}
        mine = {one for one in about if _reaches(said, start)}
        if mine:
            found.append(Kept(day, said, frozenset(mine)))
        for one in about - mine:
            later.setdefault(one, (day, said))
        left -= mine
    return found + [Kept(*later[one], frozenset({one})) for one in sorted(left & later.keys())]


def _newest_first(root: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in sorted(root.glob(f"quality/*/{NAME}"), reverse=True):
        if (said := _read(path)) is not None:
            yield path.parent.name, said


def _read(path: Path) -> Mapping[str, Any] | None:
    """What a report says; None where there is none, or where it is none of ours."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        _since(said), list(said["symbols"]), list(said["checks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(said)


def _covers(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a report looked at all that another one did."""
    return _looked_at(one, other["symbols"]) and _reaches(one, _since(other))


def _looked_at(said: Mapping[str, Any], symbols: Sequence[str]) -> bool:
    """Whether a report is about all these symbols; none are all that there are."""
    return not said["symbols"] or (bool(symbols) and set(symbols) <= set(said["symbols"]))


def _reaches(said: Mapping[str, Any], start: int | None) -> bool:
    """Whether a report looked at everything from `start` on."""
    since = _since(said)
    return since is None or (start is not None and since <= start)


def _since(said: Mapping[str, Any]) -> int | None:
    return None if said["since"] is None else parse_time(said["since"])
