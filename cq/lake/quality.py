"""What is wrong, missing or late: every view in `sql/checks/`, counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from cq.errors import ConfigError, Unreadable, UsageError
from cq.lake.catalog import Catalog
from cq.lake.completeness import Calendar, calendars
from cq.lake.inspection import SMALL, Inspection, inspection
from cq.lake.lake import Lake
from cq.lake.quality_page import page
from cq.lake.statements import first_line
from cq.lake.stillness import still
from cq.lake.suspects import SERIES
from cq.lake.verify import changed
from cq.lake.views import SEVERITIES, View, quoted
from cq.lake.windows import check_known, words_in
from cq.utils.settings import Quality
from cq.utils.time import iso

COLUMNS = ("exchange", "symbol", "interval", "ts", "rows", "detail")
EXAMPLES = 5
OF_FOOTERS = frozenset({"wrong_schema", "unordered_files"})
"""Checks that read no rows, so that a file whose rows cannot be read is no hindrance to them."""


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
    calendars: tuple[Calendar, ...]
    meanings: dict[str, str]

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
            "completeness": [one.as_dict() for one in self.calendars],
        }

    def page(self) -> str:
        """As a page to look at."""
        about = f"{self.lake}, checked {self.checked_at.replace('T', ' ')[:16]} UTC"
        if self.symbols:
            about += f", only {', '.join(self.symbols)}"
        if self.since:
            about += f", from {self.since[:16].replace('T', ' ')} on"
        return page("Quality of the lake", about, self.checks, self.calendars, self.meanings)


def run_checks(
    lake: Lake,
    symbols: Sequence[str] | None = None,
    since: int | None = None,
    *,
    now_ns: int,
    until: int | None = None,
    settings: Quality | None = None,
    only: Sequence[str] = (),
    small: int = SMALL,
) -> QualityReport:
    """Run every check, over all symbols or only these, in [since, until); nothing is written.

    A row without a time (a refused one, say) counts whatever the period is. `settings` may change
    severities and thresholds; `only` names checks to run instead of all, without calendars. Up to
    `small` bars are all looked at by every check.
    """
    names = tuple(sorted(set(symbols or ())))
    if names:
        check_known("symbol", names, words_in(lake, "symbol"))
    reads_rows = not only or bool({*only} - OF_FOOTERS)
    for one in changed(lake) if reads_rows else ():
        raise Unreadable(one.path, one.problem)
    settings = settings or Quality()
    checks = _chosen(lake, settings, only)
    variables = {"now_ns": now_ns, **settings.thresholds.model_dump()}
    views = [view for view, _ in checks]
    besides = () if only else ("gaps",)  # which calendars tell of
    with inspection(
        lake, views, names, since, variables, small, reads_rows=reads_rows, besides=besides
    ) as looked:
        asked = _Asked(lake.views, looked, names, since, until)
        found = []
        for view, severity in checks:
            with still(lake.root):
                found.append(asked.result(view, severity))
        with still(lake.root):
            days = () if only else calendars(looked.everything, looked.blocks)
    return QualityReport(
        lake=lake.root,
        checked_at=iso(now_ns),
        symbols=names,
        since=None if since is None else iso(since),
        checks=tuple(sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.check))),
        calendars=days,
        meanings={view.name: view.grain.removeprefix("One row per ") for view, _ in checks},
    )


def _chosen(lake: Lake, settings: Quality, only: Sequence[str]) -> list[tuple[View, str]]:
    """The checks to run and how bad each is."""
    every = {view.name: view for view in lake.views.views if view.kind == "checks"}
    for name in (*settings.severities, *only):
        if name not in every:
            near = get_close_matches(name, every, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there is {', '.join(every)}"
            raise UsageError(f"no check {name!r}{hint}")
    severities = {
        name: settings.severities.get(name, view.severity) for name, view in every.items()
    }
    chosen = only or [name for name in every if severities[name] != "off"]
    return [
        (every[name], severities[name] if severities[name] != "off" else every[name].severity)
        for name in dict.fromkeys(chosen)
    ]


@dataclass(frozen=True)
class _Asked:
    """How to ask a check: of everything, or of what it can find something in."""

    catalog: Catalog
    looked: Inspection
    symbols: tuple[str, ...]
    since: int | None
    until: int | None

    def result(self, view: View, severity: str) -> CheckResult:
        """One check: how many rows, of which series, and the first of each."""
        cursor = self.looked.place(view.name)
        if cursor is None:
            return CheckResult(view.name, severity, 0, (), ())
        form = EVERYWHERE if cursor is self.looked.everything else WITHIN
        rows = self._counted(view, cursor, form.format(quoted(view.name)))
        by_symbol = [
            {name: one[name] for name in (*SERIES, "rows", "first_ts", "last_ts")}
            for one in rows.iter_rows(named=True)
        ]
        examples = [
            {name: one[name] for name in SERIES} | example
            for one in rows.iter_rows(named=True)
            for example in one["examples"]
        ]
        return CheckResult(
            check=view.name,
            severity=severity,
            rows=int(rows["rows"].sum()),
            by_symbol=tuple(by_symbol),
            examples=tuple(
                {name: one[name] for name in COLUMNS}
                | {"time": None if one["ts"] is None else iso(one["ts"])}
                for one in examples[:EXAMPLES]
            ),
        )

    def _counted(self, view: View, cursor: duckdb.DuckDBPyConnection, source: str) -> pl.DataFrame:
        """exchange, symbol, interval, rows and the first findings of each series."""
        wanted = ["true"]
        params: dict[str, Any] = {}
        if self.symbols:
            wanted.append("found.symbol in (select unnest($symbols::varchar[]))")
            params["symbols"] = list(self.symbols)
        if self.since is not None:
            wanted.append("(found.ts is null or found.ts >= $since)")
            params["since"] = self.since
        if self.until is not None:
            wanted.append("(found.ts is null or found.ts < $until)")
            params["until"] = self.until
        try:
            kinds = cursor.sql(f"select {NAMES} from {quoted(view.name)} as found").limit(0)
            for name, kind in zip(COLUMNS, kinds.types, strict=True):
                _check_kind(view, name, str(kind))
            query = f"{COUNTED} {source} {' and '.join(wanted)} group by all order by all"
            rows: pl.DataFrame = cursor.sql(query, params=params or None).pl()
        except duckdb.Error as error:
            problem = ConfigError(str(view.path), f"cannot be run: {first_line(error)}")
            raise self.catalog.told(error, problem) from error
        return rows


NAMES = ", ".join(f"found.{quoted(name)}" for name in COLUMNS)
COUNTED = f"""
select {", ".join(f"found.{quoted(name)}" for name in SERIES)},
sum(coalesce(found.rows, 1))::bigint as rows,
min(found.ts)::bigint as first_ts, max(found.ts)::bigint as last_ts,
min(struct_pack(
ts := found.ts::bigint, detail := found.detail::varchar, rows := coalesce(found.rows, 1)::bigint
), {EXAMPLES}) as examples
"""
WHOLE = re.compile(r"U?(BIG|HUGE|SMALL|TINY)?INT|U?INTEGER|\"NULL\"")
EVERYWHERE = "from {} as found where "
WITHIN = f"""
from (select {NAMES} from {{}} as found) as found
asof left join counted_spans as spans
on {" and ".join(f"found.{quoted(name)} = spans.{name}" for name in SERIES)}
and found.ts >= spans.from_ts
where (found.ts is null or found.ts < spans.to_ts) and
"""


def _check_kind(view: View, name: str, kind: str) -> None:
    if name in ("ts", "rows") and not re.match(
        r"U?(BIG|HUGE|SMALL|TINY)?INT|INTEGER|\"NULL\"", kind
    ):
        raise ConfigError(
            str(view.path), f"its column {name} is of type {kind}; expected whole numbers"
        )
