"""The quality report as one page that refers to nothing outside itself: tables and calendars."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

from cq.lake.completeness import Calendar
from cq.utils.time import DAY, iso

OPEN = 4
"""Calendars that are open at first: those with most missing."""
LEGEND = (
    ("full", "all there"),
    ("n", "no trade there"),
    ("o", "exchange outage"),
    ("v", "never fetched"),
    ("l", "lost, or not known why"),
)


class Result(Protocol):
    """What the page shows of a check."""

    @property
    def check(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> str: ...  # noqa: D102
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def by_symbol(self) -> Sequence[dict[str, Any]]: ...  # noqa: D102
    @property
    def examples(self) -> Sequence[dict[str, Any]]: ...  # noqa: D102


def page(
    title: str,
    about: str,
    checks: Sequence[Result],
    calendars: Sequence[Calendar],
    meanings: dict[str, str],
) -> str:
    """The whole page; `meanings` says what one row of each check is."""
    here = Path(__file__)
    style = here.with_name("quality_page.css").read_text(encoding="utf-8")
    script = here.with_name("quality_page.js").read_text(encoding="utf-8")
    expected = sum(one.a_day * len(one.missing) for one in calendars)
    missing = sum(sum(one.missing) for one in calendars)
    share = f"{1 - missing / expected:.2%}" if expected else "–"
    figures = [("", share, "of the expected bars are there"), ("", f"{len(calendars):,}", "series")]
    for severity in ("error", "warn", "info"):
        count = sum(one.rows for one in checks if one.severity == severity)
        figures.append((severity if count else "", f"{count:,}", f"rows at fault: {severity}"))
    shown = sorted(calendars, key=lambda one: (one.share, one.symbol, one.interval))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="soft">{escape(about)}</p>'
        f'<div class="figures">{"".join(_figure(*one) for one in figures)}</div>'
        f"<h2>Checks</h2>{_table(checks, meanings)}"
        f"<h2>What is there, day by day</h2>{_legend()}"
        f"{''.join(_series(at, one) for at, one in enumerate(shown))}"
        f"{'' if shown else '<p class=soft>No bars.</p>'}"
        f"<script>{script}</script></body></html>\n"
    )


def _figure(kind: str, value: str, what: str) -> str:
    return f'<div class="figure {kind}"><b>{value}</b><small>{escape(what)}</small></div>'


def _table(checks: Iterable[Result], meanings: dict[str, str]) -> str:
    """Checks that found something with what they found, the others in a drawer."""
    every = list(checks)
    found, silent = ([one for one in every if bool(one.rows) is which] for which in (True, False))
    parts = [_rows(found, meanings)] if found else ["<p>No check found anything.</p>"]
    if silent:
        names = f"{len(silent)} checks found nothing"
        parts.append(f"<details><summary>{names}</summary>{_rows(silent, meanings)}</details>")
    return "".join(parts)


def _rows(checks: Iterable[Result], meanings: dict[str, str]) -> str:
    rows = "".join(_row(one, meanings.get(one.check, "")) for one in checks)
    return (
        '<div class="scroll"><table><thead><tr><th>check</th><th>severity</th>'
        '<th class="number">rows</th><th>where, for example</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(one: Result, meaning: str) -> str:
    found = "".join(
        f"<li><b>{escape(str(case['symbol'] or ''))}</b> {escape(case['interval'] or '')} "
        f"<small>{escape((case['time'] or '')[:16].replace('T', ' '))}</small> "
        f"{escape(str(case['detail']))}</li>"
        for case in one.examples
    )
    more = len(one.by_symbol)
    where = f"{more:,} series<ul>{found}</ul>" if found else "–"
    return (
        f'<tr class="{"" if one.rows else "nothing"}"><td><b>{escape(one.check)}</b><br>'
        f"<small>One row per {escape(meaning)}</small></td>"
        f'<td class="{one.severity if one.rows else ""}">{one.severity}</td>'
        f'<td class="number">{one.rows:,}</td><td>{where}</td></tr>'
    )


def _legend() -> str:
    names = "".join(
        f'<span><i style="background:var(--{key})"></i>{text}</span>' for key, text in LEGEND
    )
    return (
        f'<p class="legend">{names}<small>The more of a day is missing, the stronger.</small></p>'
    )


def _series(at: int, one: Calendar) -> str:
    data = {
        "first": iso(one.first_day * DAY)[:10],
        "a_day": one.a_day,
        "missing": one.missing,
        "why": one.why,
    }
    lacks = sum(one.missing)
    said = f"{lacks:,} bars missing" if lacks else "complete"
    return (
        f'<details class="series" data-of="days-{at}"{" open" if at < OPEN else ""}><summary>'
        f"<b>{escape(one.symbol)} {escape(one.interval)}</b>"
        f"<small>{escape(one.exchange)}</small><span>{one.share:.2%}</span><small>{said}</small>"
        f'</summary><div class="months"></div><script type="application/json" id="days-{at}">'
        f"{json.dumps(data, separators=(',', ':'))}</script></details>"
    )
