"""A SQL view as a lazy frame: used many times in a query, from threads, on either engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import duckdb
import polars as pl
from polars.io.plugins import register_io_source

from cq.errors import DataError
from cq.lake.damage import found_in
from cq.lake.pushdown import as_sql
from cq.lake.source import LOOKS
from cq.lake.stillness import still
from cq.lake.views import quoted

CHUNK = 262_144
"""Rows that go from DuckDB to Polars at a time."""
HELD = 2_000_000
"""Rows that are read before any is handed on: so many can be read again after a swap."""

FAULTS = (duckdb.Error, OSError, ValueError)
"""What a failing read raises: DuckDB's own errors, and Arrow's where it hands rows over."""

T = TypeVar("T")

Opened = Callable[[], duckdb.DuckDBPyRelation]
"""A fresh relation on a cursor of its own."""


def patiently(root: Path, work: Callable[[], T]) -> T:
    """What `work` gives, begun again where compaction took files away that it was to read."""
    for _ in range(LOOKS):
        try:
            return work()
        except FAULTS as error:
            if not is_gone(root, error):
                raise
    raise DataError(f"files of the lake vanished {LOOKS} times while they were read; try again")


def is_gone(root: Path, error: BaseException) -> bool:
    """Whether it says that a file of the lake could not be found which is no longer there."""
    named = found_in(root, str(error))
    return named is not None and not named.exists()


def frame(
    root: Path, opened: Opened, schema: pl.Schema, told: Callable[[BaseException], Exception]
) -> pl.LazyFrame:
    """The rows of a relation; columns, filters and a limit are DuckDB's work as far as can be."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        conditions, enough = ([], True) if predicate is None else as_sql(predicate, schema)
        wanted = columns if columns is not None else list(schema)
        needed = wanted if enough or predicate is None else _needed(wanted, predicate, schema)
        kinds = {name: schema[name] for name in needed or list(schema)[:1]}

        def asked() -> duckdb.DuckDBPyRelation:
            rows = opened()
            if conditions:
                rows = rows.filter(" and ".join(conditions))
            rows = rows.project(", ".join(quoted(name) for name in kinds))
            return rows.limit(n_rows) if n_rows is not None and enough else rows

        def answer(rows: pl.DataFrame) -> pl.DataFrame:
            fits = rows if rows.schema == kinds else rows.cast(kinds)  # type: ignore[arg-type]
            kept = fits if enough or predicate is None else fits.filter(predicate)
            return kept.select(wanted)

        try:
            yield from map(answer, _chunks(root, asked, kinds))
        except FAULTS as error:
            raise told(error) from error

    return register_io_source(read, schema=schema, is_pure=True, explain_name="cq view")


def _needed(wanted: list[str], predicate: pl.Expr, schema: pl.Schema) -> list[str]:
    """The columns to read where Polars filters: those asked for, and the filter's own."""
    both = {*wanted, *predicate.meta.root_names()}
    return [name for name in schema if name in both]


def _chunks(root: Path, asked: Opened, kinds: dict[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    """The answer in pieces; the first ones wait for each other, so that a swap can be got over."""

    def begun() -> tuple[list[pl.DataFrame], Iterator[pl.DataFrame]]:
        with still(root):  # it has listed its files once it begins to answer
            reader = asked().to_arrow_reader(CHUNK)
        rest = (_polars(batch) for batch in reader)
        held, rows = [], 0
        for one in rest:
            held.append(one)
            rows += one.height
            if rows >= HELD:
                break
        return held, rest

    held, rest = patiently(root, begun)
    yield from held or [pl.DataFrame(schema=kinds)]
    yield from rest


def _polars(batch: object) -> pl.DataFrame:
    found = pl.from_arrow(batch)
    assert isinstance(found, pl.DataFrame)
    return found
