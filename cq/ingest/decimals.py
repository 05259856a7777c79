"""Whether a file's numbers have a decimal comma: told by those that cannot be anything else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from cq.errors import UnknownLayout

COMMA = (
    r"^[-+]?(\d{1,3}(\.\d{3})+,\d+|\d*,(\d{1,2}|\d{4,})|0\d*,\d+|\d{4,},\d+|\d{1,3}(\.\d{3}){2,})$"
)
"""1,5; 0,125; 1234,567; 210.000,50; 1.234.567"""
POINT = (
    r"^[-+]?(\d{1,3}(,\d{3})+\.\d*|\d*\.(\d{0,2}|\d{4,})|0\d*\.\d+|\d{4,}\.\d+"
    r"|\d{1,3}(,\d{3}){2,}|\d*\.\d+[eE][-+]?\d+)$"
)
"""1.5; 0.125; 1234.567; 210,000.50; 1,234,567"""
EITHER = r"^[-+]?[1-9]\d{0,2}[.,]\d{3}$"
"""1.234; 1,234"""
FEW = 20


def decimal_of(path: Path, numbers: Iterable[pl.Series], separator: str) -> str:
    """The decimal mark of columns of text: a comma where numbers say so, a point otherwise.

    A few numbers (one in 20) of the other kind are left to be rejected. UnknownLayout where the
    numbers contradict each other, or where a mark may stand for decimals as well as thousands: a
    point may in a file separated by semicolons, which is how those with decimal commas come.
    """
    text = pl.concat([one.str.strip_chars().alias("text") for one in numbers])
    marks = r"[.,]" if separator == ";" else ","
    text = text.filter(text.str.contains(marks).fill_null(value=False))
    if text.is_empty():
        return "."
    comma, point = (text.filter(text.str.contains(form)) for form in (COMMA, POINT))
    if len(point) > FEW * len(comma):
        return "."
    if len(comma) > FEW * len(point):
        return ","
    if len(comma):
        seen = (
            f"has numbers with a decimal comma ({comma[0]}) and with a decimal point ({point[0]})"
        )
        raise UnknownLayout(path, f"{seen}; {_ADVICE}")
    either = text.filter(text.str.contains(EITHER))
    if either.is_empty():
        return "."
    mark = "comma" if "," in either[0] else "point"
    raise UnknownLayout(
        path,
        f"has numbers such as {either[0]}, whose {mark} may mark decimals or thousands "
        f"(columns separated by {separator!r}); {_ADVICE}",
    )


_ADVICE = 'say `decimal: ","` or `decimal: "."` in a --mapping FILE (and separator, encoding)'


def with_point(text: pl.Expr) -> pl.Expr:
    """Numbers with a decimal comma and points between thousands, as others write them.

    One whose points stand elsewhere stays as it is with its comma, which no number has.
    """
    misplaced = text.str.contains(r"\.(\d{0,2}|\d{4,})([.,]|$)|,.*[.,]")
    plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return pl.when(misplaced).then(text + ",").otherwise(plain)
