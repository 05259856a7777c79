"""`cq lake gaps`: why is a bar missing?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.lake_sql import refresh
from cq.cli.output import note, print_json, print_table
from cq.cli.periods import SINCE, period_of
from cq.cli.symbols import in_lake, symbols_argument
from cq.errors import CheckFailed
from cq.utils.clock import now_ns
from cq.utils.time import iso

if TYPE_CHECKING:
    import polars as pl

CLASSES = ("no_trade", "outage", "never_fetched", "lost")
OURS = ("never_fetched", "lost")
"""Classes that are ours to mend; the others are as the market was."""

SHOWN = 40
"""Rows of the table; the summary, --json and SQL tell of all."""

COLUMNS = ("exchange", "symbol", "interval", "from", "to", "bars", "class", "evidence")


@click.command()
@symbols_argument
@click.option("--interval", help="Only bars of this interval, such as 1m.")
@click.option("--since", metavar="DATE", help="First instant to look at.")
@click.option("--until", metavar="DATE", help="Look up to here, exclusive.")
@click.option(
    "--class", "classes", multiple=True, type=click.Choice(CLASSES), help="Only this class."
)
@click.option("--strict", is_flag=True, help="Exit code 1 when a bar was never fetched or is lost.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def gaps(
    app: App,
    *,
    symbols: tuple[str, ...],
    interval: str | None,
    since: str | None,
    until: str | None,
    classes: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Say of each missing bar of SYMBOLS (all by default) why it is not there.

    Nobody traded (`no_trade`), the exchange was down (`outage`), nobody asked (`never_fetched`), or
    it was there and is no more (`lost`), each with its evidence, e.g.
    `cq lake gaps BTC-BRL --interval 1m --since 2026-01-01`. It is the view `gaps` in SQL; see
    docs/gaps.md. `cq lake repair` mends what can be mended.
    """
    from cq.lake.status import bars_known, check_interval

    zone = app.settings.timezone
    start, end = period_of(since, until, zone, SINCE)
    known = bars_known(app.found_lake)
    symbols = in_lake(app, symbols, {symbol for symbol, _ in known})
    check_interval(known, interval, symbols)
    found = app.lake.gaps(
        symbols or None, interval, start, end, classes=classes or None, now_ns=now_ns()
    )
    if not known and not as_json:
        note(app.none_yet("no bars"))
    elif found.is_empty() and not as_json:
        note(f"no bar is missing{' as ' * bool(classes)}{' or '.join(classes)}")
    else:
        say(found, as_json=as_json)
    refresh(app)
    if strict and (ours := sum(summary(found)[one]["bars"] for one in OURS)):
        raise CheckFailed(f"{ours:,} bars never fetched or lost; mend that with `cq lake repair`")


def say(found: pl.DataFrame, *, as_json: bool) -> None:
    """The runs, and how many bars are missing by class."""
    if as_json:
        print_json({"classes": summary(found), "gaps": list(map(plain, found.to_dicts()))})
        return
    rows = found.sort("ts", "exchange", "symbol", "interval").head(SHOWN).to_dicts()
    print_table(COLUMNS, [row(one) for one in rows])
    if found.height > SHOWN:
        note(f"and {found.height - SHOWN:,} more; --json has all, and so has `from gaps` in SQL")
    click.echo()
    print_table(
        ("class", "runs", "bars"),
        [(name, one["runs"], one["bars"]) for name, one in summary(found).items()],
    )


def summary(found: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Runs and bars of each class."""
    import polars as pl

    return {
        name: {"runs": mine.height, "bars": int(mine["bars"].sum())}
        for name in CLASSES
        for mine in (found.filter(pl.col("class") == name),)
    }


def row(run: dict[str, Any]) -> tuple[object, ...]:
    """One run as the table shows it."""
    who = (run["exchange"], run["symbol"], run["interval"])
    ends = (iso(run[one])[:16].replace("T", " ") for one in ("ts", "end_ts"))
    return (*who, *ends, run["bars"], run["class"], run["evidence"])


def plain(run: dict[str, Any]) -> dict[str, Any]:
    """One run for JSON."""
    return {**run, "time": iso(run["ts"]), "end_time": iso(run["end_ts"])}
