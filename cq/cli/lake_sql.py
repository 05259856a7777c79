"""`cq lake sql`: a question, its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.output import as_json, note, print_json, print_table
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
        print_json(whole(answer).to_dicts())
    elif as_csv:
        click.echo(csv(answer), nl=False)
    else:
        print_table(answer.columns, exact(answer))
    refresh(app)


def readable(answer: pl.DataFrame) -> pl.DataFrame:
    """The answer with bytes as hexadecimal text."""
    from polars import Binary, col

    return answer.with_columns(col(Binary).bin.encode("hex"))


def whole(answer: pl.DataFrame) -> pl.DataFrame:
    """The answer with nanoseconds, of which Python's moments hold micros only, as text."""
    from polars import col

    return answer.with_columns(_whole(col(name), kind) for name, kind in answer.schema.items())


def _whole(column: pl.Expr, kind: Any) -> pl.Expr:
    from polars import Array, Datetime, List, String, Struct, Time, element

    if kind in (Datetime("ns"), Time()):
        return column.cast(String).str.replace(r"(\.000000000|000)$", "")  # as Python says fewer
    if isinstance(kind, Array):
        return _whole(column.arr.to_list(), List(kind.inner))
    if isinstance(kind, List):
        return column.list.eval(_whole(element(), kind.inner))
    if isinstance(kind, Struct):
        fields = (_whole(column.struct.field(one.name), one.dtype) for one in kind.fields)
        return column.struct.with_fields(*fields)
    return column


def exact(answer: pl.DataFrame) -> list[list[str]]:
    """The rows as text in which no digit of a number is lost."""
    from polars import Boolean, String, col

    from cq.cli.table import words

    said = whole(answer).with_columns(col(Boolean).cast(String))  # true and false, as SQL has them
    return [[words(value) for value in row] for row in said.rows()]


def csv(answer: pl.DataFrame) -> str:
    """The answer as CSV; lists and structs as JSON text."""
    from polars import Series

    said = whole(answer)
    return answer.with_columns(
        Series(name, [None if one is None else as_json(one) for one in said[name].to_list()])
        for name, kind in answer.schema.items()
        if kind.is_nested()
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
