"""Tables for people: numbers, symbols and dates stay whole, whatever the width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

NONE = "–"
GAP = "  "
LONGEST = 120
"""Characters of a cell where no width limits it."""
WHOLE = 32
"""A word up to this long may be a name that somebody types again: it is not cut."""
NARROWEST = 16
"""Texts of several words are cut down to this before the table is turned on its side."""

NUMBER = re.compile(r"[-+]?(\d[\d,]*(\.\d+)?(e[-+]?\d+)?|inf|nan)( ?%| ?[kMG]?B| (d|h|min|s))?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:?\d\d)?)?")


def words(value: Any) -> str:
    """One value as people read it, on one line; nothing of a number is lost."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {words(one)}" for key, one in value.items())
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(one, (list, tuple, Mapping)) for one in value)
        return ("; " if nested else ", ").join(map(words, value)) or "none"
    return " ".join(str(value).split())


def lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The table in at most `width` columns, each line without spaces at its end.

    Headers wrap at their spaces, long texts end in …; what does not fit then stands in blocks of
    one line a cell.
    """
    rows = [[shortened(cell, LONGEST) for cell in row] for row in rows]
    made = [
        Column.of(name, [row[position] for row in rows]) for position, name in enumerate(columns)
    ]
    widths = fitted(made, width)
    if widths is None:
        return blocks(columns, rows, width or LONGEST)
    heads = [textwrap.wrap(one.name, size, **KEPT) for one, size in zip(made, widths, strict=True)]
    tall = max(map(len, heads), default=0)
    top = [[*[""] * (tall - len(head)), *head] for head in heads]
    ruled = "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    body = [[shortened(c, size) for c, size in zip(row, widths, strict=True)] for row in rows]
    return [
        *(line(part, made, widths) for part in zip(*top, strict=True)),
        ruled,
        *(line(row, made, widths) for row in body),
    ]


@dataclass(frozen=True)
class Column:
    """A header, how wide its cells are, and how narrow they may become."""

    name: str
    widest: int
    narrowest: int
    right: bool

    @classmethod
    def of(cls, name: str, cells: Sequence[str]) -> Column:
        """What the cells of a column ask for."""
        said = [cell for cell in cells if cell not in ("", NONE)]
        narrow = [cell_len(cell) if whole(cell) else NARROWEST for cell in cells]
        return cls(
            name,
            widest=max(map(cell_len, cells), default=0),
            narrowest=max(narrow, default=0),
            right=bool(said) and all(NUMBER.fullmatch(cell) for cell in said),
        )

    @property
    def longest_word(self) -> int:
        """How wide the header is when it wraps at each space."""
        return max(map(cell_len, self.name.split()), default=0)


def whole(cell: str) -> bool:
    """Whether a cell is one thing that cannot be cut: a number, a moment, a name, a short text."""
    size = cell_len(cell)
    if size <= NARROWEST or NUMBER.fullmatch(cell) or MOMENT.fullmatch(cell):
        return True
    return size <= WHOLE and " " not in cell


def fitted(columns: Sequence[Column], width: int | None) -> list[int] | None:
    """A width for each column; None where they do not fit beside each other."""
    widths = [max(one.widest, cell_len(one.name)) for one in columns]
    gaps = len(GAP) * (len(columns) - 1)
    if width is None or sum(widths) + gaps <= width:
        return widths
    widths = [max(one.widest, one.longest_word) for one in columns]
    least = [max(one.narrowest, one.longest_word) for one in columns]
    while (over := sum(widths) + gaps - width) > 0:
        spare = [now - low for now, low in zip(widths, least, strict=True)]
        if sum(spare) < over:
            return None
        roomy = max((w for w, s in zip(widths, spare, strict=True) if s > 0), default=0)
        widths[next(i for i, s in enumerate(spare) if s > 0 and widths[i] == roomy)] -= 1
    return widths


def shortened(cell: str, size: int) -> str:
    """The cell in `size` columns: cut before a word where there is one, never inside a number."""
    if cell_len(cell) <= size or NUMBER.fullmatch(cell) or MOMENT.fullmatch(cell):
        return cell
    kept = set_cell_size(cell, size - 1)
    if cell[len(kept) : len(kept) + 1] != " " and " " in kept.strip():
        kept = kept[: kept.rindex(" ")]
    return kept.rstrip(" ,;:") + "…"


def line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    """One line of the table."""
    padded = []
    for cell, column, size in zip(cells, columns, widths, strict=True):
        space = " " * (size - cell_len(cell))
        padded.append(space + cell if column.right else cell + space)
    return GAP.join(padded).rstrip()


KEPT: Any = {"break_long_words": False, "break_on_hyphens": False}


def blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Each row as lines of `column  value`, with an empty line between two rows."""
    margin = max(map(cell_len, columns)) + len(GAP)
    found: list[str] = []
    for row in rows:
        if found:
            found.append("")
        for name, cell in zip(columns, row, strict=True):
            room = cell_len(cell) if whole(cell) else max(width - margin, NARROWEST)
            first, *more = textwrap.wrap(cell, max(room, 1), **KEPT) or [""]
            found.append(f"{name}{' ' * (margin - cell_len(name))}{first}".rstrip())
            found += [" " * margin + part for part in more]
    return found
