"""`cq lake quality`: what is wrong, missing or late."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.lake_sql import refresh
from cq.cli.output import note, print_json, print_table
from cq.cli.symbols import in_lake, symbols_argument
from cq.errors import CheckFailed, LakeUnwritable
from cq.utils.clock import now_ns
from cq.utils.time import parse_time

if TYPE_CHECKING:
    from cq.lake.quality import QualityReport


@click.command()
@symbols_argument
@click.option("--symbol", "more", multiple=True, help="The same as an argument; may be repeated.")
@click.option(
    "--check",
    "checks",
    multiple=True,
    help="Run this check only, keeping no report; may be repeated.",
)
@click.option("--since", help="First day (or instant) to look at, UTC.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def quality(
    app: App,
    symbols: tuple[str, ...],
    more: tuple[str, ...],
    checks: tuple[str, ...],
    since: str | None,
    *,
    as_json: bool,
) -> None:
    """Run every check over SYMBOLS (all by default), e.g. `cq lake quality BTC-BRL`.

    The report is also written to quality/<day>/ in the lake, as quality_report.json and as
    quality_report.html, a page with a calendar of what is there; not where the day's report looked
    at more. Ends in exit code 1 when a check of severity `error` found something. The checks are
    the SQL files in sql/checks/; your own go beside them. Severities and thresholds are settings
    (quality.severities, quality.thresholds).
    """
    from cq.lake.datasets import DATASETS
    from cq.lake.quality import run_checks

    now = now_ns()
    start = None if since is None else parse_time(since, app.settings.timezone)
    report = run_checks(
        app.found_lake,
        in_lake(app, (*symbols, *more)),
        start,
        now_ns=now,
        settings=app.settings.quality,
        only=checks,
    )
    path, problem = (None, "") if checks else _kept(report, now)
    if as_json:
        print_json(report.as_dict() | {"report": path and str(path)})
    else:
        print_table(
            ("check", "severity", "rows", "symbols", "for example"),
            [
                (one.check, one.severity, one.rows, _who(one.by_symbol), _first(one.examples))
                for one in report.checks
            ],
        )
        if all(app.lake.stored(name).is_empty() for name in DATASETS):
            note(app.none_yet())
    if problem:
        note(f"cq: the report was not kept: {problem}")
    elif path:
        if not as_json:
            note(f"written to {path}")
        refresh(app)
    if report.errors:
        failed = [one.check for one in report.checks if one.rows and one.severity == "error"]
        raise CheckFailed(f"{report.errors:,} rows at fault: {', '.join(failed)}")


def _kept(report: QualityReport, now: int) -> tuple[Path | None, str]:
    """Where the report lies, or why there is none of it."""
    from cq.lake.quality_reports import write_report

    try:
        path = write_report(report, now)
    except LakeUnwritable as error:
        return None, str(error)
    return path, "" if path else "the day's looked at more; `cq lake quality` renews it"


def _who(by_symbol: tuple[dict[str, object], ...]) -> str:
    found = (one["symbol"] for one in by_symbol)
    names = list(dict.fromkeys(str(one) for one in found if one is not None))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _first(examples: tuple[dict[str, object], ...]) -> str:
    told = [examples[0][name] for name in ("symbol", "detail")] if examples else []
    return ": ".join(str(one) for one in told if one is not None)
