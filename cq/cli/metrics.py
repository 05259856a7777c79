"""`cq metrics`: what each number of a backtest means, and how it is come by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cq.cli.output import print_json, print_table
from cq.errors import UsageError

if TYPE_CHECKING:
    from cq.backtest import Metric

COLUMNS = ("name", "label", "unit", "formula", "convention", "source")


@click.command(short_help="Say what each metric of a backtest means.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON list (with NAME: one object).")
def metrics(name: str | None, *, as_json: bool) -> None:
    """List the metrics of a backtest, or say all about one, e.g. `cq metrics sortino`.

    Fractions are printed as percentages and kept as fractions. What has no value is null.
    """
    from cq.backtest.definitions import BY_NAME

    if name is not None:
        one = _known(name)
        print_json(one._asdict()) if as_json else _show(one)
    elif as_json:
        print_json([one._asdict() for one in BY_NAME.values()])
    else:
        rows = [[getattr(one, column) for column in COLUMNS] for one in BY_NAME.values()]
        print_table(COLUMNS, rows)


def _known(name: str) -> Metric:
    from difflib import get_close_matches

    from cq.backtest.definitions import BY_NAME

    if name in BY_NAME:
        return BY_NAME[name]
    near = get_close_matches(name.lower(), BY_NAME, n=1)
    advice = f"did you mean {near[0]!r}?" if near else "`cq metrics` lists them"
    raise UsageError(f"{name!r} is not a metric; {advice}")


def _show(one: Metric) -> None:
    click.echo(f"{one.name}: {one.label}\n")
    for column in COLUMNS[2:]:
        click.echo(f"{column:<10}  {getattr(one, column) or '–'}")
