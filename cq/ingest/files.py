"""Importing files: each is read as it is, and what became of its rows is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from cq.errors import (
    CqError,
    DataError,
    LakeUnwritable,
    NoSuchFile,
    Stumbled,
    UnknownLayout,
    UsageError,
)
from cq.ingest import layouts
from cq.ingest.layout import Layout
from cq.ingest.mapping import layout_of, read_mapping
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Unrecognised, opened
from cq.ingest.symbols import normalised
from cq.lake import Lake, WriteReport
from cq.lake.rules import PLAIN_NAME
from cq.utils.names import counted
from cq.utils.time import interval_ns

DATASETS = ("ohlcv", "trades", "orderbook_l2")


@dataclass(frozen=True)
class FileReport:
    """What became of one file: counts, or its `error`, or why it was `skipped`."""

    path: Path
    layout: str = ""
    notes: tuple[str, ...] = ()
    report: WriteReport = field(default_factory=WriteReport)
    error: CqError | None = None
    skipped: str = ""


@dataclass(frozen=True)
class Progress:
    """Where an import is: file `number` of `total` is being read, landed, or is done."""

    number: int
    total: int
    path: Path
    stage: Literal["reading", "landing", "done"]
    done: FileReport | None = None


def import_files(
    lake: Lake,
    paths: Iterable[Path],
    dataset: str,
    *,
    now_ns: int,
    symbol: str | None = None,
    exchange: str | None = None,
    interval: str | None = None,
    timezone: str | None = None,
    default_timezone: str = "UTC",
    mapping: Path | None = None,
    layout: str | None = None,
    at_ns: int | None = None,
    depth: int = 20,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> list[FileReport]:
    """Import `paths` (files, and folders with all that is below them) into `dataset`.

    Options win over what the files say. `timezone` is of stamps that say none and wins over the
    layout's own; `default_timezone` does not. Each file lands on its own: an unreadable one is
    reported and the others go on. Importing the same again changes nothing.
    """
    asked = Request(
        dataset=_dataset(dataset),
        now_ns=now_ns,
        symbol=_symbol(symbol),
        exchange=_exchange(exchange),
        interval=_interval(interval),
        timezone=_zone(timezone),
        default_timezone=_zone(default_timezone) or "UTC",
        at_ns=at_ns,
        depth=_depth(depth),
    )
    fixed = _fixed_layout(mapping, layout, dataset)
    found = _expanded(paths, lake.root)
    reports = []
    for number, (path, named) in enumerate(found, 1):

        def tell(stage: Literal["reading", "landing"], n: int = number, at: Path = path) -> None:
            on_progress(Progress(n, len(found), at, stage))

        report = _one(lake, path, asked, fixed, tell)
        if report.error is not None and not named and isinstance(report.error, Unrecognised):
            report = FileReport(path, skipped=report.error.found)
        reports.append(report)
        on_progress(Progress(number, len(found), path, "done", report))
    return reports


def total(reports: Iterable[FileReport]) -> WriteReport:
    """All files together."""
    return sum((one.report for one in reports), WriteReport())


def _one(
    lake: Lake,
    path: Path,
    asked: Request,
    fixed: Layout | None,
    tell: Callable[[Literal["reading", "landing"]], None],
) -> FileReport:
    try:
        tell("reading")
        name, piece = read_file(path, asked, fixed)
        tell("landing")
        report = landed(lake, path, piece, asked)
        return FileReport(path, name, (*piece.notes, *_told(report)), report)
    except (UsageError, LakeUnwritable):
        raise
    except DataError as error:
        return FileReport(path, error=error)


def read_file(path: Path, asked: Request, fixed: Layout | None = None) -> tuple[str, Piece]:
    """The name of a file's layout, and its rows in the lake's columns.

    Stumbled where looking at the file fails in a way nobody foresaw: it stops no other file.
    """
    try:
        source = opened(path, fixed.encoding if fixed else None)
        layout = fixed or layouts.recognised(source, asked.dataset)
    except CqError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        raise Stumbled(path, error) from error
    try:
        piece = layout.read(source, asked)
    except CqError:
        raise
    except (pl.exceptions.PolarsError, KeyError, IndexError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnknownLayout(
            path,
            f"cannot be read as {layout.name} ({reason}); found {source.found()}; name another "
            "--layout or describe it with --mapping FILE",
        ) from error
    except (Exception, pl.exceptions.PanicException) as error:
        raise Stumbled(path, error) from error
    if source.encoding != (layout.encoding or "utf-8"):
        piece = piece.noting(f"text in {source.encoding}")
    return piece.layout or layout.name, piece


def landed(lake: Lake, path: Path, piece: Piece, asked: Request) -> WriteReport:
    """Land the rows of `piece`, keep its broken ones in `rejected`, and count both."""
    report = WriteReport()
    if piece.broken.height:
        lake.write("rejected", _rejected(path, piece, asked), source=str(path), now_ns=asked.now_ns)
        counts = piece.broken["broken"].explode(empty_as_null=False).value_counts()
        broken = piece.broken.height
        report += WriteReport(broken, 0, 0, broken, dict(counts.iter_rows()))
    if piece.rows.height:
        report += lake.write(asked.dataset, piece.rows, source=str(path), now_ns=asked.now_ns)
    return report


def _told(report: WriteReport) -> Iterator[str]:
    """What the counts alone do not say."""
    if not report.read:
        yield "no rows were found in it"
    if again := report.repeated:
        yield f"{counted(again, 'row repeats another', 'rows repeat others')} of the file"
    if other := report.contradicting:
        yield (
            f"{counted(other, 'row differs', 'rows differ')} from what an earlier import landed "
            "under the same key; the earlier is kept, these are in `rejected`"
        )


def _rejected(path: Path, piece: Piece, asked: Request) -> pl.DataFrame:
    return piece.broken.with_columns(
        dataset=pl.lit(asked.dataset),
        source=pl.lit(str(path)),
        seen_ts=pl.lit(asked.now_ns, pl.Int64),
    )


def _expanded(paths: Iterable[Path], lake: Path) -> list[tuple[Path, bool]]:
    """Every file once, in order, and whether it was named itself.

    Of a folder, hidden files and folders and the lake's own files are no files of others.
    """
    found: dict[Path, bool] = {}
    for path in paths:
        if path.is_dir():
            below = sorted(one for one in path.rglob("*") if _is_of_others(one, path, lake))
            if not below:
                raise UnknownLayout(path, "is a folder without files")
            for one in below:
                found.setdefault(one, False)
        else:
            found[path] = True
    return list(found.items())


def _is_of_others(one: Path, folder: Path, lake: Path) -> bool:
    hidden = any(part.startswith(".") for part in one.relative_to(folder).parts)
    return not hidden and one.is_file() and not one.resolve().is_relative_to(lake)


def _fixed_layout(mapping: Path | None, layout: str | None, dataset: str) -> Layout | None:
    if mapping is not None and layout is not None:
        raise UsageError("--mapping and --layout contradict each other; leave one away")
    if mapping is not None:
        if not mapping.is_file():
            raise NoSuchFile(mapping)
        return layout_of(mapping, read_mapping(mapping))
    return layouts.forced(layout, dataset) if layout is not None else None


def _dataset(name: str) -> str:
    if name not in DATASETS:
        raise UsageError(f"--dataset {name} cannot be imported; there is {', '.join(DATASETS)}")
    return name


def _symbol(symbol: str | None) -> str | None:
    if symbol is None:
        return None
    known = normalised(symbol)
    if known is None:
        raise UsageError(f"--symbol {symbol} is no market; expected BASE-QUOTE, such as BTC-BRL")
    return known


def _exchange(exchange: str | None) -> str | None:
    if exchange is not None and not re.fullmatch(PLAIN_NAME, exchange):
        raise UsageError(f"--exchange {exchange!r} is no plain name; expected one such as binance")
    return exchange


def _interval(interval: str | None) -> str | None:
    if interval is not None:
        interval_ns(interval)
    return interval


def _zone(name: str | None) -> str | None:
    if name is not None:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise UsageError(
                f"--tz {name} is no time zone; expected a name such as UTC or America/Sao_Paulo"
            ) from None
    return name


def _depth(depth: int) -> int:
    if depth < 1:
        raise UsageError(f"--depth {depth} leaves no level; expected 1 or more")
    return depth
