"""JSON as tables of text: arrays of arrays, arrays of objects, objects of arrays.

Numbers keep their digits on the way (a stamp of 19 digits never passes through a float), and
nothing here loops over rows in Python.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from cq.errors import UnknownLayout


def rows_like(
    path: Path, text: str, first: list[Any] | dict[str, Any]
) -> tuple[pl.DataFrame, pl.Series | None]:
    """The rows of a JSON array as a table of what its `first` has, and those unlike it as text."""

    def read(text: str) -> pl.DataFrame:
        if isinstance(first, list):
            return matrix(path, text, len(first))
        return records(path, text, tuple(first))

    try:
        return read(text), None
    except UnknownLayout:
        like, unlike = _sorted_out(text, first)
        if not unlike:
            raise
        return read(json.dumps(like)), pl.Series("row", [json.dumps(one) for one in unlike])


def _sorted_out(text: str, first: list[Any] | dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Elements of a JSON array that are flat rows as `first` is one, and the others."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return [], []
    like: list[Any] = []
    unlike: list[Any] = []
    for row in rows if isinstance(rows, list) else ():
        (like if _is_like(row, first) else unlike).append(row)
    return like, unlike


def _is_like(row: Any, first: list[Any] | dict[str, Any]) -> bool:
    if isinstance(row, list) and isinstance(first, list):
        cells = row
    elif isinstance(row, dict) and isinstance(first, dict):
        cells = [row.get(name) for name in first]
    else:
        return False
    return not any(isinstance(cell, list | dict) for cell in cells)


def matrix(path: Path, text: str, width: int) -> pl.DataFrame:
    """`[[…], […]]` as columns `column_1` … ; a short row ends in nulls."""
    if (quick := _as_lines(text, width)) is not None:
        return quick
    rows = _decoded(path, pl.Series([text]), pl.List(pl.List(pl.String)))
    return rows.select(
        pl.col("value").list.get(place, null_on_oob=True).alias(f"column_{place + 1}")
        for place in range(width)
    )


def _as_lines(text: str, width: int) -> pl.DataFrame | None:
    """The same by the CSV reader, in a third of the time and memory; None where that is no use."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    lines = re.sub(r"\]\s*,\s*\[", "\n", text[1:-1].strip())
    if not (lines.startswith("[") and lines.endswith("]")):
        return None
    lines = lines[1:-1]
    if '"' not in lines:
        lines = lines.replace(", ", ",")
    if any(odd in lines for odd in ("[", "]", "{", "\\", '""', " ", "\t", "\r", "\n\n")):
        return None
    try:
        return pl.read_csv(
            lines.encode(),
            has_header=False,
            schema={f"column_{place}": pl.String for place in range(1, width + 1)},
            null_values=["null"],
            missing_columns="insert",
        )
    except pl.exceptions.PolarsError:
        return None


def records(path: Path, text: str, names: tuple[str, ...]) -> pl.DataFrame:
    """`[{…}, {…}]` as one column for each of `names`."""
    kind = pl.List(pl.Struct(dict.fromkeys(names, pl.String)))
    return _decoded(path, pl.Series([text]), kind).unnest("value")


def record_lines(path: Path, lines: pl.Series, names: tuple[str, ...]) -> pl.DataFrame:
    """One `{…}` a line as one column for each of `names`."""
    kind = pl.Struct(dict.fromkeys(names, pl.String))
    return decode_lines(path, lines, kind).to_frame("value").unnest("value")


def column_arrays(path: Path, value: dict[str, Any], names: tuple[str, ...]) -> pl.DataFrame:
    """`{"t": […], "o": […]}` as columns of text; all must be of one length."""
    arrays = {name: value[name] for name in names if isinstance(value.get(name), list)}
    lengths = {len(array) for array in arrays.values()}
    if len(arrays) < len(names) or len(lengths) > 1:
        held = ", ".join(f"{name} ({len(array)})" for name, array in arrays.items()) or "none"
        raise UnknownLayout(path, f"expected arrays {', '.join(names)} of one length, found {held}")
    return pl.DataFrame(
        {name: pl.Series(array, strict=False).cast(pl.String) for name, array in arrays.items()}
    )


def decode_lines(path: Path, lines: pl.Series, kind: pl.DataType) -> pl.Series:
    """Each line of JSON as `kind`."""
    try:
        return lines.str.json_decode(kind)
    except pl.exceptions.ComputeError as error:
        raise UnknownLayout(path, f"holds a line that is not JSON ({_first(error)})") from None


def _decoded(path: Path, text: pl.Series, kind: pl.DataType) -> pl.DataFrame:
    try:
        values = text.str.json_decode(kind)
    except pl.exceptions.ComputeError as error:
        raise UnknownLayout(path, f"is not whole JSON ({_first(error)}); fetch it again") from None
    return values.alias("value").explode(empty_as_null=False).to_frame()


def _first(error: Exception) -> str:
    return str(error).splitlines()[0][:120]
