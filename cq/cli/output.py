"""What commands print: data on standard output, everything said about it on standard error."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

LEAF = json.JSONEncoder(default=str, allow_nan=False).encode


def print_json(value: Any) -> None:
    """One JSON value; what JSON cannot say (NaN, infinity) is null."""
    click.echo(as_json(value, "\n"))


def as_json(value: Any, margin: str = "") -> str:
    """`value` as JSON, with every digit of decimals, for which `json` knows floats and text only.

    `margin` begins the lines at this depth; empty, all is one line.
    """
    inner, end = (f"{margin}  ", ",") if margin else ("", ", ")
    if isinstance(value, Mapping) and value:
        said = (f"{inner}{LEAF(str(key))}: {as_json(one, inner)}" for key, one in value.items())
        return f"{{{end.join(said)}{margin}}}"
    if isinstance(value, (list, tuple)) and value:
        return f"[{end.join(inner + as_json(one, inner) for one in value)}{margin}]"
    if isinstance(value, (float, Decimal)) and not math.isfinite(value):
        return "null"
    return f"{value:f}" if isinstance(value, Decimal) else LEAF(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A table for people, as wide as the terminal lets it be; numbers are set right."""
    from cq.cli import table

    said = [[cell(one) for one in row] for row in rows]
    if title:
        click.echo(title)
    for line in table.lines(columns, said, terminal_width()):
        click.echo(line)


def terminal_width() -> int | None:
    """Columns of the terminal; None in a file or pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cell(value: Any) -> str:
    """One value as people read it: numbers in groups of three, floats to four decimals."""
    from cq.cli.table import words

    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"
    return words(value)


def note(text: str) -> None:
    """A line about the work, on standard error."""
    click.echo(text, err=True)
