"""`cq lake status`: what there is."""

from __future__ import annotations

import click

from cq.cli.app import App
from cq.cli.lake_sql import refresh
from cq.cli.output import note, print_json, print_table
from cq.utils.clock import now_ns
from cq.utils.time import DAY, HOUR, MINUTE, SECOND, iso

COLUMNS = (
    *("dataset", "exchange", "symbol", "interval", "first", "newest"),
    *("rows", "files", "size", "lag"),
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(app: App, *, as_json: bool) -> None:
    """Show every series in the lake: range, rows, files, bytes and lag, e.g. `cq lake status`."""
    from cq.lake.status import status as series

    found = series(app.lake, now_ns())
    if as_json:
        print_json({"lake": str(app.lake.root), "series": [one.as_dict() for one in found]})
    elif found:
        print_table(
            COLUMNS,
            [
                (
                    one.dataset,
                    one.exchange,
                    one.symbol,
                    one.interval,
                    minute(one.first_ts),
                    minute(one.newest_ts),
                    one.rows,
                    one.files,
                    size(one.bytes),
                    None if one.lag_seconds is None else span(int(one.lag_seconds * SECOND)),
                )
                for one in found
            ],
        )
    else:
        note(app.none_yet())
    refresh(app)


def minute(ts: int | None) -> str | None:
    """A moment to the minute."""
    return None if ts is None else iso(ts)[:16].replace("T", " ")


def size(count: int) -> str:
    """Bytes as people read them."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.1f} GB"


def span(ns: int) -> str:
    """A length of time in its largest unit."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if abs(ns) >= 2 * unit:
            return f"{ns // unit} {name}"
    return f"{ns // SECOND} s"
