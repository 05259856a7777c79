"""What commands print: data on standard output, everything said about it on standard error."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:
    """One JSON value; what JSON cannot say (NaN, infinity) is null."""
    click.echo(json.dumps(plain(value), indent=2, default=str, allow_nan=False))


def plain(value: Any) -> Any:
    """`value` with NaN and infinities as None, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


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
