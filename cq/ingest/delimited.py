"""Text tables: separator, banner, header; every field is read as text, so that none is lost."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass

import polars as pl

SEPARATORS = ",;\t|"
_VALUE = re.compile(
    r"\s*([-+]?(\d[\d.,_]*|\.\d+)([eE][-+]?\d+)?|\d{4}[-/]\d\d[-/]\d\d.*|nan|null|none|true|false)?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Shape:
    """How a delimited file is laid out: `banner` lines come before the header or the first row."""

    separator: str
    banner: int
    header: tuple[str, ...] | None
    width: int
    first_row: str

    @property
    def first_fields(self) -> list[str]:
        """The header's or the first row's fields."""
        return next(csv.reader([self.first_row], delimiter=self.separator))


def shape_of(head: str, separator: str | None = None) -> Shape:
    """The shape told by a file's first lines."""
    lines = head.splitlines()
    whole = lines if head.endswith(("\n", "\r")) else lines[:-1]
    lines = [line for line in (whole if "".join(whole).strip() else lines) if line.strip()]
    separator = separator or max(SEPARATORS, key=lambda one: _fit(lines[:200], one))
    rows, width, banner = _split(lines[:200], separator)
    first = rows[banner]
    named = sum(not _VALUE.fullmatch(field) for field in first) >= max(1, (len(first) + 1) // 2)
    header = tuple(field.strip() for field in first) if named and len(first) > 1 else None
    return Shape(separator, banner, header, width, lines[banner])


def _split(lines: list[str], separator: str) -> tuple[list[list[str]], int, int]:
    """The lines in fields, how many most have, and which is the first that has so many."""
    rows = list(csv.reader(lines, delimiter=separator))
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    return rows, width, next((n for n, row in enumerate(rows) if len(row) == width), 0)


def _fit(lines: list[str], separator: str) -> tuple[bool, int, float, int]:
    """How well lines are cut by `separator`: from the earliest one on, the header if there is one,
    into fields that are values, into many."""
    rows, width, first = _split(lines, separator)
    fields = [field for row in rows[first + 1 :] or rows for field in row]
    values = sum(_VALUE.fullmatch(field) is not None for field in fields)
    return width > 1, -first, values / max(1, len(fields)), width


def read_delimited(content: bytes, shape: Shape) -> tuple[pl.DataFrame, pl.Series]:
    """Every field as text, and the lines that have more fields than there are columns.

    Columns without a name are called `column_1`, `column_2` … by their position.
    """
    spoiled = pl.Series("row", [], pl.String)
    try:
        table = _parsed(content, shape)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        content, spoiled = _without_long_lines(content, shape)
        table = _parsed(content, shape)
    table = table.select(pl.all().str.strip_chars())
    return table.filter(~pl.all_horizontal(pl.all().is_null())), spoiled


def _parsed(content: bytes, shape: Shape) -> pl.DataFrame:
    names = unique_names(shape.header or ("",) * shape.width)
    return pl.read_csv(
        content,
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        skip_lines=_lines_before(content, shape.banner + (shape.header is not None)),
        separator=shape.separator,
        encoding="utf8-lossy",
        raise_if_empty=False,
        truncate_ragged_lines=False,
        missing_columns="insert",
    )


def _lines_before(content: bytes, rows: int) -> int:
    """How many lines the first `rows` non-empty ones take, empty ones among them included."""
    lines = 0
    for line in content.split(b"\n", rows + 50)[: rows + 50]:
        if rows == 0:
            break
        lines += 1
        rows -= bool(line.strip())
    return lines


def _without_long_lines(content: bytes, shape: Shape) -> tuple[bytes, pl.Series]:
    text = content.decode("utf-8", "replace")
    lines = pl.Series("row", [text], pl.String).str.split("\n").explode(empty_as_null=False)
    bare = lines.str.replace_all(r'"[^"]*"', "")
    long = bare.str.count_matches(shape.separator, literal=True) >= shape.width
    long &= pl.int_range(len(lines), eager=True) >= shape.banner + (shape.header is not None)
    kept = lines.filter(~long).str.join("\n").item()
    return kept.encode(), lines.filter(long).str.strip_chars()


def unique_names(names: tuple[str, ...]) -> list[str]:
    """`names` with the empty and the repeated ones called by their position."""
    seen: set[str] = set()
    unique = []
    for position, name in enumerate(names, 1):
        unique.append(name if name and name not in seen else f"column_{position}")
        seen.add(name)
    return unique
