"""A layout as a value: what it is called, when a file is one, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from unicodedata import normalize

import polars as pl

from cq.ingest.decimals import decimal_of
from cq.ingest.delimited import read_delimited, unique_names
from cq.ingest.json_forms import column_arrays, record_lines, rows_like
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.tables import NUMBERS, Table, normalise


@dataclass(frozen=True)
class Layout:
    """One way in which somebody writes `datasets`.

    `matches` looks at the first bytes and the name only; `read` takes the whole file. `encoding` is
    that of its text; None: told by the bytes.
    """

    name: str
    datasets: tuple[str, ...]
    says: str
    matches: Callable[[Source], bool]
    read: Callable[[Source, Request], Piece]
    encoding: str | None = None


def by_position(names: str) -> dict[str, str]:
    """`ts open high` as columns 1, 2, 3; a dash is a column of no interest."""
    return {name: f"column_{place}" for place, name in enumerate(names.split(), 1) if name != "-"}


KLINES = by_position("ts open high low close volume")


def fields(source: Source) -> int:
    """How many columns a file without names has; 0 where that is not so."""
    if source.kind == "delimited" and source.shape.header is None:
        return source.shape.width
    if source.kind == "json" and isinstance(source.first_record, list):
        return len(source.first_record)
    return 0


def plain(name: str) -> str:
    """A column's name in bare letters and digits: `Open time` → `opentime`, `Máxima` → `maxima`."""
    return "".join(letter for letter in normalize("NFKD", name.lower()) if letter.isalnum())


def raw_table(source: Source, only: tuple[str, ...] = ()) -> tuple[pl.DataFrame, pl.Series | None]:
    """The file as a table, and the lines that fit into none; `only` limits binary files."""
    if source.kind == "parquet":
        return pl.read_parquet(source.path, columns=list(only) or None), None
    if source.kind == "feather":
        return pl.read_ipc(source.path, columns=list(only) or None), None
    if source.kind == "delimited":
        return read_delimited(source.content, source.shape)
    if source.kind == "lines":
        return record_lines(source.path, source.lines, tuple(unique_names(source.columns))), None
    text = source.content.decode("utf-8", "replace")
    first = source.first_record
    if isinstance(first, dict) and source.head.lstrip().startswith("{"):
        names = tuple(name for name, value in first.items() if isinstance(value, list))
        if names:
            words = {name: pl.lit(value) for name, value in first.items() if isinstance(value, str)}
            return column_arrays(source.path, first, names).with_columns(**words), None
        text = f"[{text}]"  # one row alone
    return rows_like(source.path, text, first if isinstance(first, list | dict) else {})


def read_as(source: Source, table: Table, asked: Request) -> Piece:
    """The whole file through one table."""
    raw, spoiled = raw_table(source, tuple(dict.fromkeys(table.columns.values())))
    return with_decimal(source, raw, table, asked, spoiled)


def with_decimal(
    source: Source, raw: pl.DataFrame, table: Table, asked: Request, spoiled: pl.Series | None
) -> Piece:
    """`raw` through `table`, with the decimal mark that the numbers of a text file tell."""
    decimal = decimal_in(source, raw, table, asked.dataset)
    piece = normalise(source.path, raw, replace(table, decimal=decimal), asked, spoiled)
    return piece.noting("numbers with a decimal comma" if decimal == "," else "")


def decimal_in(
    source: Source, raw: pl.DataFrame, table: Table, dataset: str, separator: str | None = None
) -> str:
    """The decimal mark of a text file's numbers; a point in files of every other kind."""
    if source.kind != "delimited":
        return "."
    separator = separator or source.shape.separator
    if separator != ";" and (b'"' if separator == "," else b",") not in source.content:
        return "."
    names = [table.columns[name] for name in NUMBERS[dataset] if name in table.columns]
    numbers = [raw[name] for name in names if name in raw.columns]
    return decimal_of(source.path, numbers, separator) if numbers else "."
