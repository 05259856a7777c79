"""What the lake holds, read from the ends of its files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cq.errors import NoBars, Unreadable
from cq.lake.damage import problem
from cq.lake.datasets import DATASETS, Dataset, dataset
from cq.lake.footer import TORN
from cq.lake.lake import Lake
from cq.lake.layout import Part, is_ours
from cq.lake.origin import Origin
from cq.lake.places import is_remote, relative
from cq.lake.source import look
from cq.lake.spans import opened, spans
from cq.lake.template import OWNERS
from cq.utils.time import SECOND, bar_end, interval_ns

STREAMS = ("ohlcv", "trades", "orderbook_l2")
"""The datasets that are late when nothing new comes."""


def bars_known(lake: Lake) -> set[tuple[str, str]]:
    """Symbol and interval of the bars that are stored, or were asked for."""
    asked = lake.sql("select distinct symbol, interval from coverage where dataset = 'ohlcv'")
    return {*lake.stored().select("symbol", "interval").rows(), *asked.rows()}


def check_interval(
    known: Collection[tuple[str, str]], interval: str | None, symbols: Sequence[str] = ()
) -> None:
    """UsageError where it is none; NoBars where none of the `known` bars (symbol and interval) has
    it, or none of one of these symbols."""
    if interval is None:
        return
    interval_ns(interval)
    for one in symbols or [""]:
        held = {each for symbol, each in known if one in ("", symbol)}
        if interval not in held:
            there = ", ".join(sorted(held, key=lambda each: (interval_ns(each), each)))
            raise NoBars(one or "the lake", f"stored at {interval}", there or "none")


@dataclass(frozen=True)
class SeriesStatus:
    """One series of a dataset: what is there, from when to when, and how long ago it ended."""

    dataset: str
    exchange: str | None
    symbol: str | None
    interval: str | None
    first_ts: int | None
    newest_ts: int | None
    rows: int
    files: int
    bytes: int
    lag_seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class FileStatus:
    """One file of the lake: whose rows it holds, from when to when, and where they come from."""

    path: Path
    owner: tuple[str | None, str | None, str | None]
    first: int | None
    last: int | None
    rows: int
    size: int
    origin: Origin | None

    def as_dict(self, root: Path) -> dict[str, Any]:
        """For JSON; what is not known of its origin is None."""
        names = [one.name for one in fields(Origin)]
        return {
            "path": relative(root, self.path),
            **dict(zip(("exchange", "symbol", "interval"), self.owner, strict=True)),
            "first_ts": self.first,
            "newest_ts": self.last,
            "rows": self.rows,
            "bytes": self.size,
            **(asdict(self.origin) if self.origin else dict.fromkeys(names)),
        }


def files(
    lake: Lake, name: str, symbols: Sequence[str] = (), interval: str | None = None
) -> list[FileStatus]:
    """Every file of a dataset (of these symbols, at this interval), by path."""
    contract = dataset(name)
    layout = lake.layouts[contract.name]
    owners: list[dict[str, str | None]] = [{"symbol": one} for one in symbols] or [{}]

    def named() -> list[Part]:
        parts = {part.path: part for owner in owners for part in layout.files(lake.root, owner)}
        return [parts[path] for path in sorted(parts)]

    return [
        one
        for one in look(named, lambda parts: [about(part.path, contract) for part in parts])
        if (not symbols or one.owner[1] in symbols) and interval in (None, one.owner[2])
    ]


def status(lake: Lake, now_ns: int) -> list[SeriesStatus]:
    """Every series of every dataset, by dataset, exchange, symbol and interval."""
    return [one for name in DATASETS for one in _of_dataset(lake, name, now_ns)]


def _of_dataset(lake: Lake, name: str, now_ns: int) -> Iterator[SeriesStatus]:
    def read(parts: Sequence[Part]) -> list[FileStatus]:
        return [about(part.path, DATASETS[name]) for part in parts]

    groups: dict[tuple[str | None, str | None, str | None], list[FileStatus]] = {}
    for one in look(partial(lake.layouts[name].files, lake.root), read):
        groups.setdefault(one.owner, []).append(one)
    for owner, files in sorted(groups.items(), key=lambda pair: [word or "" for word in pair[0]]):
        newest = max((one.last for one in files if one.last is not None), default=None)
        yield SeriesStatus(
            name,
            *owner,
            first_ts=min((one.first for one in files if one.first is not None), default=None),
            newest_ts=newest,
            rows=sum(one.rows for one in files),
            files=len(files),
            bytes=sum(one.size for one in files),
            lag_seconds=_lag(name, owner[2], newest, now_ns),
        )


def _lag(name: str, interval: str | None, newest: int | None, now_ns: int) -> float | None:
    if name not in STREAMS or newest is None:
        return None
    return (now_ns - (bar_end(newest, interval) if interval else newest)) / SECOND


def _time(contract: Dataset) -> str:
    return "ts" if "ts" in contract.schema else contract.time


def about(path: Path, contract: Dataset) -> FileStatus:
    """What one file holds; an owner's name that is not that of all its rows is None.

    Of a file of ours, whose rows are in order, the first and the last row group tell it.
    """
    time = _time(contract)
    try:
        with opened(path, contract.owner) as file:
            last = file.num_row_groups - 1
            ours = is_ours(path.name) and time == contract.time and last >= 0
            held = spans(file, contract.owner, [0] if ours else None)
            held |= spans(file, [time], {0, last} if ours else None)
            rows, said = file.metadata.num_rows, Origin.said(file.metadata.metadata or {})
    except TORN as error:
        raise _unreadable(path, error) from error
    for name, ends in held.items():
        if not all(isinstance(one, int if name == time else str) for one in ends):
            raise Unreadable(path, f"its {name} is {ends[0]!r}")
    words = (held.get(one, (None, None)) for one in OWNERS)
    exchange, symbol, interval = (least if least == most else None for least, most in words)
    first, newest = held.get(time, (None, None))
    owner = exchange, symbol, interval
    return FileStatus(path, owner, first, newest, rows, path.stat().st_size, said)


def rows_of(path: Path) -> int:
    """How many rows a file holds."""
    try:
        if is_remote(path):
            with path.open("rb") as file:
                return int(pq.read_metadata(file).num_rows)
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> Unreadable:
    return Unreadable(path, problem(path) or str(error))
