"""What is wrong, missing or late: every view in `sql/checks/`, counted."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from cq.errors import ConfigError, UnknownSymbol
from cq.lake import disk
from cq.lake.catalog import Catalog, first_line
from cq.lake.lake import Lake
from cq.lake.views import View, quoted
from cq.utils.time import from_ns, iso

COLUMNS = ("exchange", "symbol", "interval", "ts", "rows", "detail")
SERIES = ("exchange", "symbol", "interval")
EXAMPLES = 5


@dataclass(frozen=True)
class CheckResult:
    """What one check found."""

    check: str
    severity: str
    rows: int
    """Rows at fault; a run of missing bars counts each of them."""
    by_symbol: tuple[dict[str, Any], ...]
    examples: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "check": self.check,
            "severity": self.severity,
            "rows": self.rows,
            "by_symbol": list(self.by_symbol),
            "examples": list(self.examples),
        }


@dataclass(frozen=True)
class QualityReport:
    """What all checks found, at one moment."""

    lake: Path
    checked_at: str
    symbols: tuple[str, ...]
    since: str | None
    checks: tuple[CheckResult, ...]
    path: Path | None = None

    @property
    def errors(self) -> int:
        """Rows that checks of severity error found."""
        return sum(one.rows for one in self.checks if one.severity == "error")

    @property
    def warnings(self) -> int:
        """Rows that checks of severity warn found."""
        return sum(one.rows for one in self.checks if one.severity == "warn")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "lake": str(self.lake),
            "checked_at": self.checked_at,
            "symbols": list(self.symbols),
            "since": self.since,
            "errors": self.errors,
            "warnings": self.warnings,
            "checks": [one.as_dict() for one in self.checks],
        }


def run_checks(
    lake: Lake, symbols: Sequence[str] | None = None, since: int | None = None, *, now_ns: int
) -> QualityReport:
    """Run every check, over all symbols or only these, from `since` on; nothing is written.

    A row without a time (a refused one, say) counts whatever `since` is.
    """
    names = tuple(sorted(set(symbols or ())))
    for name in names:
        _known(lake, name)
    cursor = lake.views.cursor()
    cursor.execute("set variable now_ns = ?", [now_ns])
    found = [
        _run(lake.views, cursor, view, names, since)
        for view in lake.views.views
        if view.kind == "checks"
    ]
    return QualityReport(
        lake=lake.root,
        checked_at=iso(now_ns),
        symbols=names,
        since=None if since is None else iso(since),
        checks=tuple(sorted(found, key=lambda one: (one.severity, one.check))),
    )


def write_report(report: QualityReport, now_ns: int) -> Path:
    """Put the report into the lake, one file a UTC day; the day's newest wins."""
    folder = report.lake / "quality" / f"{from_ns(now_ns):%Y-%m-%d}"
    target = folder / "quality_report.json"
    beside = folder / f"{target.name}.{os.getpid()}.tmp"
    with disk.writing(folder):
        disk.make_folder(folder)
        with disk.create(beside) as file:
            disk.append(file, json.dumps(report.as_dict(), indent=2).encode() + b"\n")
        disk.replace(beside, target)
    return target


def _known(lake: Lake, symbol: str) -> None:
    known: set[str] = set()
    for name in lake.layouts:
        known |= set(lake.stored(name)["symbol"].drop_nulls())
    if symbol not in known:
        raise UnknownSymbol(symbol, known, "`cq lake status` lists what there is")


def _check_numbers(view: View, name: str, kind: pl.DataType) -> None:
    if not kind.is_numeric() and kind != pl.Null:
        raise ConfigError(
            str(view.path), f"its column {name} is of type {kind}; expected whole numbers"
        )


def _run(
    catalog: Catalog,
    cursor: duckdb.DuckDBPyConnection,
    view: View,
    symbols: tuple[str, ...],
    since: int | None,
) -> CheckResult:
    """One check: how many rows, of which series, and the first of them."""
    severity = view.severity
    wanted = ["true"]
    params: list[Any] = []
    if symbols:
        wanted.append("symbol in (select unnest(?::varchar[]))")
        params.append(list(symbols))
    if since is not None:
        wanted.append("(ts is null or ts >= ?)")
        params.append(since)
    query = (
        f"select {', '.join(quoted(name) for name in COLUMNS)} from {quoted(view.name)} "
        f"where {' and '.join(wanted)} order by exchange, symbol, interval, ts, detail"
    )
    try:
        rows: pl.DataFrame = cursor.sql(query, params=params or None).pl()
        for name in ("ts", "rows"):
            _check_numbers(view, name, rows.schema[name])
        rows = rows.with_columns(pl.col("rows").cast(pl.Int64), pl.col("ts").cast(pl.Int64))
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        problem = ConfigError(str(view.path), f"cannot be run: {first_line(error)}")
        raise catalog.told(error, problem) from error
    by_symbol = rows.group_by(SERIES, maintain_order=True).agg(pl.col("rows").sum())
    return CheckResult(
        check=view.name,
        severity=severity,
        rows=int(rows["rows"].sum()),
        by_symbol=tuple(by_symbol.to_dicts()),
        examples=tuple(
            {**one, "time": None if one["ts"] is None else iso(one["ts"])}
            for one in rows.head(EXAMPLES).to_dicts()
        ),
    )
