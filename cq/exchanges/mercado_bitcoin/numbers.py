"""Numbers as the wire writes them: text or JSON numbers of any width, read without a detour.

Research wants floats: each is rounded once, to the nearest. Orders want the digits themselves.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import polars as pl

from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.utils.time import SECOND

NOT_SECONDS: Final = 10**11
"""No stamp in seconds is as large; the reference calls some nanoseconds that are not."""

NANOSECONDS: Final = (10**17, 10**19)
"""Between these lies every stamp in nanoseconds of the years 1973 to 2262."""


def parsed(body: str | bytes, path: str) -> Any:
    """The JSON of a body with every number as its own text; Unreadable where it is none."""
    try:
        return json.loads(body, parse_float=str, parse_int=str, parse_constant=str)
    except ValueError:
        raise Unreadable(path, "it is not JSON") from None


def decoded(body: str | bytes, kind: pl.DataType, path: str) -> pl.Series:
    """The JSON array of a body as a series of `kind`, without an object a row.

    Fields of type String keep the digits of text as they are, and whole numbers too.
    """
    try:
        text = body.decode() if isinstance(body, bytes) else body
        if not text.lstrip().startswith("["):
            raise Unreadable(path, "it is no JSON array")
        read = pl.Series([text]).str.json_decode(pl.List(kind))
    except (UnicodeDecodeError, pl.exceptions.PolarsError):
        raise Unreadable(path, "it is not JSON of the form that was expected") from None
    return read.explode(empty_as_null=False)


def floats(text: pl.Expr) -> pl.Expr:
    """Each number rounded once, to the nearest float; what is no number is null."""
    return text.str.strip_chars().cast(pl.Float64, strict=False)


def seconds(text: pl.Series, path: str) -> pl.Series:
    """Stamps in whole seconds as nanoseconds; Unreadable where they are anything else."""
    stamps = text.cast(pl.Int64, strict=False)
    if stamps.null_count() or (stamps.abs() >= NOT_SECONDS).any():
        raise Unreadable(path, "its times are not in whole seconds")
    return stamps * SECOND


def nanoseconds(text: str | None, path: str) -> int | None:
    """A stamp of 19 digits, exactly; None where there is none; Unreadable in another unit."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not NANOSECONDS[0] <= int(text) < NANOSECONDS[1]:
        raise Unreadable(path, "its timestamp is not in nanoseconds")
    return int(text)


def decimal(value: object) -> Decimal | None:
    """The digits as they were sent; None for null, an empty text and what is no finite number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
