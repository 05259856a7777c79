"""Answers of DuckDB as Polars and Python can hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import duckdb
import polars as pl

from cq.lake.views import quoted

FOREIGN = re.compile(r"\b(INTERVAL|UNION|BIGNUM|VARIANT|BIT|TIME WITH TIME ZONE)\b")
"""Types that Polars has no counterpart of; answers hold them as text."""
FIRST_DAY, LAST_DAY = ((one - date(1970, 1, 1)).days for one in (date.min, date.max))
"""Of Python's calendar, in days since 1970."""


def plain(relation: duckdb.DuckDBPyRelation, far: Sequence[str] = ()) -> duckdb.DuckDBPyRelation:
    """The relation with columns that Polars cannot take, and those named `far`, as text."""
    kinds = zip(relation.columns, map(str, relation.types), strict=True)
    foreign = [
        name
        for name, kind in kinds
        if name in far or FOREIGN.search(re.sub(r"\"[^\"]*\"|'[^']*'", "", kind))
    ]
    if not foreign:
        return relation
    casts = ", ".join(
        f"{quoted(name)}::varchar as {quoted(name)}" for name in dict.fromkeys(foreign)
    )
    return relation.project(f"* replace ({casts})")


def is_beyond(column: pl.Series) -> bool:
    """Whether a moment in it lies outside the years 1 to 9999, beyond which Python has no date."""
    kind = column.dtype
    if isinstance(kind, pl.Map):
        return is_beyond(column.map.keys()) or is_beyond(column.map.values())
    if isinstance(kind, pl.Struct):
        return any(map(is_beyond, column.struct.unnest()))
    if isinstance(kind, (pl.List, pl.Array)):
        return is_beyond(column.explode())
    if isinstance(kind, pl.Date):
        first, last = FIRST_DAY, LAST_DAY
    elif isinstance(kind, pl.Datetime) and kind.time_unit != "ns":  # those end in 2262
        a_day = {"ms": 1_000, "us": 1_000_000}[kind.time_unit] * 86_400
        first, last = FIRST_DAY * a_day, (LAST_DAY + 1) * a_day - 1
    else:
        return False
    return not column.to_physical().drop_nulls().is_between(first, last).all()


def small(answer: pl.DataFrame) -> pl.DataFrame:
    """Sums of whole numbers as Int64 where they fit; DuckDB widens them to 128 bits."""
    wide = [n for n, k in answer.schema.items() if isinstance(k, pl.Decimal) and k.scale == 0]
    fits = answer.select(pl.col(wide).cast(pl.Int64, strict=False))
    same = [n for n in wide if fits[n].null_count() == answer[n].null_count()]
    return answer.with_columns(fits.select(same))
