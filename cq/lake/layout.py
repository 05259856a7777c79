"""Where the rows of a dataset lie: a path template turned into folders, and folders into files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from cq.errors import ConfigError
from cq.lake.places import at
from cq.lake.rules import NOBODY
from cq.lake.template import (
    OWNERS,
    TIMES,
    calendar,
    filled,
    placeholders,
    regex,
    safe,
)
from cq.lake.template_problems import levels, problem
from cq.lake.walk import ANCHOR_FILE, Walk
from cq.utils.time import from_ns, to_ns

DEFAULT_PARTITIONS: dict[str, str] = {
    "ohlcv": "ohlcv/exchange={exchange}/symbol={symbol}/interval={interval}/year={YYYY}"
    "/file-{HHmmss}.parquet",
    "trades": "trades/exchange={exchange}/symbol={symbol}/year={YYYY}/month={MM}"
    "/file-{HHmmss}.parquet",
    "orderbook_l2": "orderbook_l2/exchange={exchange}/symbol={symbol}/year={YYYY}/month={MM}"
    "/day={DD}/file-{HHmmss}.parquet",
    "orders": "orders/exchange={exchange}/symbol={symbol}/year={YYYY}/file-{HHmmss}.parquet",
    "fills": "fills/exchange={exchange}/symbol={symbol}/year={YYYY}/file-{HHmmss}.parquet",
    "coverage": "coverage/exchange={exchange}/symbol={symbol}/file-{HHmmss}.parquet",
    "rejected": "rejected/exchange={exchange}/symbol={symbol}/file-{HHmmss}.parquet",
    "lost": "lost/exchange={exchange}/symbol={symbol}/file-{HHmmss}.parquet",
}

ROW_GROUP: Final = 65_536
"""Rows of a row group in a file of ours: few enough that a day is found without reading a year."""

_OURS = re.compile(r"-[0-9a-f]{12}\.parquet$")


class Part(NamedTuple):
    """One file of the lake: its path and the calendar folder it lies in (`(2024, 5)`)."""

    when: tuple[int, ...]
    path: Path

    @property
    def is_ours(self) -> bool:
        """Whether its name says that cq wrote it, and so that its rows are in time order."""
        return is_ours(self.path.name)


class Leaf(NamedTuple):
    """One folder that has files, and the values that the folders on its way tell."""

    path: Path
    values: Mapping[str, str]

    @property
    def owner(self) -> dict[str, str]:
        """Whose rows they are, as far as folders tell."""
        return {name: self.values[name] for name in OWNERS if name in self.values}


@dataclass(frozen=True)
class Layout:
    """A path template, such as `ohlcv/symbol={symbol}/year={YYYY}/file-{HHmmss}.parquet`."""

    dataset: str
    template: str

    def __post_init__(self) -> None:
        """Refuse a template that could lose rows or mix datasets."""
        wrong = problem(self.dataset, self.template)
        if wrong:
            raise ConfigError(f"partitions.{self.dataset}.path", f"{self.template!r} {wrong}")

    @cached_property
    def folders(self) -> list[str]:
        """The template's folder levels, with the dataset's name in them."""
        return levels(self.dataset, self.template)

    @cached_property
    def fields(self) -> list[str]:
        """Placeholders in the folder levels, from the left."""
        return [name for level in self.folders for name in placeholders(level)]

    @cached_property
    def hive(self) -> dict[str, str]:
        """Column → placeholder, where every folder that varies is named `column={placeholder}`."""
        named = [re.fullmatch(r"(\w+)=\{(\w+)\}", level) for level in self.folders[1:]]
        if not all(named):
            return {}
        return {found[1]: found[2] for found in named if found}

    @cached_property
    def depth(self) -> int:
        """How many calendar levels the folders have."""
        return sum(name in TIMES for name in self.fields)

    def folder(self, owner: Mapping[str, str | None], ts: int | None) -> Path:
        """The folder, relative to the lake, of rows of `owner` at `ts`."""
        who = tuple(safe(owner.get(name)) for name in OWNERS)
        return _folder(self, who, _levels(ts or 0, self.depth))

    def file_name(self, ts: int | None, digest: str) -> str:
        """The name of a file whose first row is at `ts` and whose content has this digest."""
        values = {"dataset": self.dataset, **calendar(ts or 0)}
        stem = filled(self.template.split("/")[-1].removesuffix(".parquet"), values)
        return f"{stem}-{digest}.parquet"

    def told(self, folder: Path) -> dict[str, str]:
        """Placeholder → value, as far as the name of a folder of the lake tells."""
        told: dict[str, str] = {}
        for name, pattern in zip(folder.parts, self.folders, strict=False):
            found = regex(pattern).fullmatch(name)
            told |= found.groupdict() if found else {}
        return told

    def is_level(self, folder: Path) -> bool:
        """Whether a folder of the lake is one that the template makes, on whichever level."""
        return len(folder.parts) <= len(self.folders) and all(
            regex(pattern).fullmatch(name)
            for name, pattern in zip(folder.parts, self.folders, strict=False)
        )

    def anchor(self) -> Path:
        """An empty file that lets a view over the dataset bind before the first row is there."""
        return self.folder(dict.fromkeys(OWNERS, NOBODY), None) / ANCHOR_FILE

    def cuts(self, first: int, last: int) -> list[int]:
        """Where a new calendar folder begins within (first, last], in nanoseconds."""
        if not self.depth:
            return []
        found, edge = [], self._next(first)
        while edge <= last:
            found.append(edge)
            edge = self._next(edge)
        return found

    def span(self, when: tuple[int, ...]) -> tuple[int, int]:
        """When a calendar folder begins, and when the next one does."""
        year, month, day, hour = (*when, *(1, 1, 1, 0)[len(when) :])
        begun = to_ns(datetime(year, month, day, hour, tzinfo=UTC))
        return begun, self._next(begun)

    def _next(self, ts: int) -> int:
        moment = from_ns(ts)
        if self.depth == 1:
            return to_ns(datetime(moment.year + 1, 1, 1, tzinfo=UTC))
        if self.depth == 2:
            year, month = divmod(moment.year * 12 + moment.month, 12)
            return to_ns(datetime(year, month + 1, 1, tzinfo=UTC))
        step = 86_400_000_000_000 if self.depth == 3 else 3_600_000_000_000
        return ts - ts % step + step

    def files(
        self,
        root: Path,
        owner: Mapping[str, str | None] | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> list[Part]:
        """Files that may hold rows of `owner` in [start, end), oldest calendar folder first."""
        return [
            Part(when, at(root, f"{folder}{os.sep}{name}"))
            for when, folder, names in self._folders(root, owner, start, end)
            for name in names
        ]

    def paths(
        self,
        root: Path,
        owner: Mapping[str, str | None] | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> list[str]:
        """The same as plain text, which costs far less where there are thousands."""
        return [
            f"{folder}{os.sep}{name}"
            for _, folder, names in self._folders(root, owner, start, end)
            for name in names
        ]

    @cached_property
    def _walk(self) -> Walk:
        return Walk(tuple(self.folders))

    def _folders(
        self,
        root: Path,
        owner: Mapping[str, str | None] | None,
        start: int | None,
        end: int | None,
    ) -> list[tuple[tuple[int, ...], str, list[str]]]:
        """Calendar level, folder and the names of its files, in order."""
        first = None if start is None else _levels(start, self.depth)
        last = None if end is None else _levels(end - 1, self.depth)
        fixed = {name: safe(value) for name, value in (owner or {}).items()}
        return sorted(
            (tuple(int(seen[name]) for name in TIMES[: self.depth]), folder, names)
            for folder, names, seen in self._walk.folders(root, fixed, first, last)
        )

    def leaves(self, root: Path, only: Mapping[str, str] | None = None) -> list[Leaf]:
        """Every folder that has files, of those with the values `only`, in the order of paths."""
        fixed = {name: safe(value) for name, value in (only or {}).items()}
        found = self._walk.folders(root, fixed, None, None)
        return sorted((Leaf(Path(folder), seen) for folder, _, seen in found), key=lambda f: f.path)

    def owners(self, root: Path, only: Mapping[str, str] | None = None) -> list[dict[str, str]]:
        """The distinct owners (those with the values `only`) that the folder names tell."""
        fixed = {name: safe(value) for name, value in (only or {}).items()}
        names = [name for name in self.fields if name in OWNERS]
        seen = {
            tuple(values[name] for name in names)
            for _, _, values in self._walk.folders(root, fixed, None, None, stop_early=True)
        }
        return [dict(zip(names, one, strict=True)) for one in sorted(seen)]


@lru_cache(maxsize=4096)
def _folder(layout: Layout, who: tuple[str, ...], when: tuple[int, ...]) -> Path:
    """A folder, by whose rows it has and its calendar level; the same ones are asked for often."""
    times = {name: f"{one:0{len(name)}d}" for name, one in zip(TIMES, when, strict=False)}
    values = {**dict(zip(OWNERS, who, strict=True)), **times}
    return Path("/".join(filled(level, values) for level in layout.folders))


def is_ours(name: str) -> bool:
    """Whether a file of this name was written by cq, with the digest of its content in the name."""
    return bool(_OURS.search(name))


def _levels(ts: int, depth: int) -> tuple[int, ...]:
    moment = from_ns(ts)
    return (moment.year, moment.month, moment.day, moment.hour)[:depth]
