"""`cq lake sql`: a question, its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.output import note, print_json, print_table
from cq.errors import CqError, UsageError

if TYPE_CHECKING:
    import polars as pl


@click.command()
@click.argument("query")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of rows.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.pass_obj
def sql(app: App, query: str, *, as_json: bool, as_csv: bool) -> None:
    """Answer QUERY over the lake's views, e.g. `cq lake sql "select * from latest"`.

    `select * from series` shows what there is; `show tables` names the views. Statements that
    change something are refused. A narrow terminal shows each row as lines.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; choose one")
    answer = readable(app.lake.sql(query))
    if as_json:
        print_json(json_ready(answer).to_dicts())
    elif as_csv:
        click.echo(csv(answer), nl=False)
    else:
        print_table(answer.columns, exact(answer))
    refresh(app)


def readable(answer: pl.DataFrame) -> pl.DataFrame:
    """The answer with bytes as hexadecimal text."""
    from polars import Binary, col

    return answer.with_columns(col(Binary).bin.encode("hex"))


def exact(answer: pl.DataFrame) -> list[list[str]]:
    """The rows as text in which no digit of a number is lost."""
    from polars import Boolean, String, col

    from cq.cli.table import words

    said = answer.with_columns(col(Boolean).cast(String))  # true and false, as SQL has them
    return [[words(value) for value in row] for row in said.rows()]


def json_ready(answer: pl.DataFrame) -> pl.DataFrame:
    """The answer with decimals, which JSON lacks, as numbers."""
    from polars import Decimal, Float64, col

    return answer.with_columns(col(Decimal).cast(Float64))


def csv(answer: pl.DataFrame) -> str:
    """The answer as CSV; lists and structs as JSON text."""
    from polars import Series, col

    return answer.select(
        Series(
            name,
            [
                None if one is None else json.dumps(one, default=str)
                for one in answer[name].to_list()
            ],
        )
        if kind.is_nested()
        else col(name)
        for name, kind in answer.schema.items()
    ).write_csv()


def refresh(app: App) -> None:
    """Bring `lake.db` up to date, and say so where that has to wait."""
    try:
        done = app.lake.refresh_catalog()
    except CqError as error:  # the command's own work is done and has to be told
        note(f"cq: {app.lake.catalog} stays as it is: {error}")
    else:
        if not done:
            note(f"cq: {app.lake.catalog} is open elsewhere; its views stay as they are for now")
