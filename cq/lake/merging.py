"""The rows of many files in time order, a window at a time, into few files of a chosen size.

Files of a folder hardly overlap in time, so a window is mostly a few whole row groups, read one
after the other. Where many overlap, the window's ends are chosen so that it holds few enough rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from cq.lake import parquet
from cq.lake.datasets import Dataset
from cq.lake.spans import spans

WINDOW_ROWS = 4 * parquet.ROW_GROUP
WINDOW_BYTES = 128 << 20
CACHED_ROWS = 32_768
MIXER = np.uint64(0x9E3779B97F4A7C15)
SAMPLED = 64
"""One time in so many is looked at to say where windows end."""


@dataclass(frozen=True)
class Piece:
    """One row group: whose, and between which times its rows lie."""

    path: Path
    group: int
    rows: int
    size: int
    first: int
    last: int
    required: frozenset[str] = frozenset()
    """The columns of which its file says that they lack no value."""


@dataclass(frozen=True)
class Window:
    """The rows of some row groups; only those with start ≤ time < end, where these are given."""

    pieces: tuple[Piece, ...]
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Merged:
    """One file that was made, its first row's time, its digest and how many rows it has."""

    path: Path
    first: int
    digest: str
    rows: int


@dataclass(frozen=True)
class Merge:
    """How the files of one dataset are read and written."""

    contract: Dataset

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of a file; names that hardly change are dictionaries in memory too."""
        empty = pa.BufferReader(parquet.encoded(self.contract.empty()))
        return pa.schema(
            one.with_type(pa.dictionary(pa.int32(), pa.string()))
            if one.name in self.contract.owner
            else one
            for one in pq.read_schema(empty)
        )

    def pieces(self, path: Path) -> list[Piece] | None:
        """The row groups of a file; None where its columns are not the dataset's."""
        with pq.ParquetFile(path) as file:
            about, known = file.metadata, file.schema_arrow
            expected = {one.name: one.type for one in self.schema}
            fits = all(
                one.name in expected and _alike(one.type, expected[one.name]) for one in known
            )
            if not fits or self.contract.time not in known.names:
                return None
            required = frozenset(one.name for one in known if not one.nullable)
            groups = [about.row_group(i) for i in range(about.num_row_groups)]
            found = []
            for i, one in enumerate(groups):
                if one.num_rows:
                    ends = spans(file, [self.contract.time], [i]).get(self.contract.time)
                    if ends is None:
                        return None
                    found.append(Piece(path, i, one.num_rows, one.total_byte_size, *ends, required))
        return found

    def windows(self, pieces: Sequence[Piece]) -> Iterator[Window]:
        """Windows that together hold each row once, oldest first, none with too many."""
        waiting: list[Piece] = []
        for cluster in _clusters(pieces):
            both = [*waiting, *cluster]
            if waiting and _is_much(both):
                yield Window(tuple(waiting))
                waiting, both = [], cluster
            if _is_much(cluster) and len(cluster) > 1:
                yield from self._split(cluster)
                both = []
            waiting = both
        if waiting:
            yield Window(tuple(waiting))

    def _split(self, cluster: Sequence[Piece]) -> Iterator[Window]:
        """Windows over row groups that overlap, with about as many rows each."""
        samples = np.sort(np.concatenate([self._times(one)[::SAMPLED] for one in cluster]))
        rows, size = sum(one.rows for one in cluster), sum(one.size for one in cluster)
        parts = 1 + max(rows // WINDOW_ROWS, size // WINDOW_BYTES)
        cuts = samples[(np.arange(1, parts) * len(samples)) // parts]
        first, last = min(one.first for one in cluster), max(one.last for one in cluster)
        edges = [first, *sorted({int(cut) for cut in cuts if first < cut}), last + 1]
        for start, end in pairwise(edges):
            inside = tuple(one for one in cluster if one.first < end and one.last >= start)
            yield Window(inside, start, end)

    def _times(self, piece: Piece) -> np.ndarray:
        with pq.ParquetFile(piece.path) as file:
            table = file.read_row_group(piece.group, columns=[self.contract.time])
        return np.asarray(table[0].to_numpy())

    def rows(self, window: Window) -> pa.Table:
        """The rows of a window, by time and key."""
        table = pa.concat_tables([self._read(one, window) for one in window.pieces])
        times = table.column(self.contract.time).to_numpy()
        if len(times) < 2 or bool((times[1:] > times[:-1]).all()):
            return table
        return self.typed(in_order(pl.DataFrame(plain(table)), self.contract).to_arrow())

    def _read(self, piece: Piece, window: Window) -> pa.Table:
        with pq.ParquetFile(piece.path, read_dictionary=list(self.contract.owner)) as file:
            table = self.typed(file.read_row_group(piece.group, use_threads=False))
        if window.start is None or window.end is None:
            return table
        if window.start <= piece.first and piece.last < window.end:
            return table
        times = table.column(self.contract.time).to_numpy()
        return table.filter(pa.array((times >= window.start) & (times < window.end)))

    def typed(self, table: pa.Table) -> pa.Table:
        """A table with the columns of the schema; one that is missing is null."""
        if table.schema == self.schema:
            return table
        arrays = []
        for one in self.schema:
            if one.name not in table.column_names:
                arrays.append(pa.nulls(table.num_rows, one.type))
                continue
            column = table.column(one.name)
            if pa.types.is_dictionary(one.type) and not pa.types.is_dictionary(column.type):
                column = column.cast(pa.string()).dictionary_encode()
            arrays.append(column.cast(one.type))
        return pa.table(arrays, schema=self.schema)

    def again(self, path: Path) -> Iterator[pa.Table]:
        """The rows of a file, a row group at a time."""
        with pq.ParquetFile(path, read_dictionary=list(self.contract.owner)) as file:
            for number in range(file.num_row_groups):
                yield self.typed(file.read_row_group(number, use_threads=False))

    def write(
        self,
        tables: Iterator[pa.Table],
        folder: Path,
        limits: tuple[int, int],
        metadata: dict[str, str] | None,
        pieces: Sequence[Piece],
    ) -> Iterator[Merged]:
        """Files of up to the larger of the limits, and but for the last not below the smaller.

        A column is required in them where all files say so whose pieces these are rows of.
        """
        small, large = limits
        required = self.contract.required.intersection(*(one.required for one in pieces))
        kinds = [one.with_nullable(one.name not in required) for one in self.schema]
        schema, made = pa.schema(kinds), 0
        growing: parquet.Growing | None = None
        try:
            for group in _row_groups(tables):
                if growing is None:
                    growing = parquet.Growing(folder / f"part-{made}", schema)
                    first = group.column(self.contract.time)[0].as_py()
                growing.add(group)
                if growing.size + growing.last_piece > large and growing.size >= small:
                    yield Merged(growing.path, first, growing.finish(metadata), growing.rows)
                    growing, made = None, made + 1
            if growing is not None:
                yield Merged(growing.path, first, growing.finish(metadata), growing.rows)
                growing = None
        finally:
            if growing is not None:
                growing.abandon()


def in_order(rows: pl.DataFrame, contract: Dataset) -> pl.DataFrame:
    """Rows by time, then by key; text of digits in the order of its numbers."""
    rest = [n for n in (*contract.owner, *contract.own_key) if n != contract.time]
    words = [n for n in rest if contract.schema[n] == pl.String]
    keys = [pl.col(contract.time)]
    for name in rest:
        keys += [pl.col(name).str.len_bytes()] if name in words else []
        keys.append(pl.col(name))
    return rows.sort(keys, maintain_order=True)


def fingerprint(table: pa.Table) -> int:
    """A number that rows have in whatever order they are; of two lots together it is the sum."""
    total = 0
    for batch in table.to_batches(max_chunksize=CACHED_ROWS):
        mixed = np.full(batch.num_rows, np.uint64(batch.num_columns))
        for column in batch.columns:
            mixed ^= _bits(column)
            mixed *= MIXER
            mixed ^= mixed >> np.uint64(29)
        total += int(mixed.sum(dtype=np.uint64))
    return total % (1 << 64)


def _bits(column: pa.Array) -> Any:
    """A number for each value: what numbers are in memory, a hash of all else."""
    if column.type in (pa.int64(), pa.float64()) and not column.null_count:
        return column.to_numpy().view(np.uint64)
    if pa.types.is_dictionary(column.type):
        words = np.array([_word(word) for word in [*column.dictionary.to_pylist(), None]])
        if len(words) == 2 and not column.null_count:
            return words[0]
        return words[column.indices.fill_null(len(words) - 1).to_numpy()]
    return pl.Series(column).hash(seed=1).to_numpy()


@lru_cache(maxsize=10_000)
def _word(word: str | None) -> np.uint64:
    """A number for a name that stands in many rows."""
    said = hashlib.blake2b(repr(word).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(said, "little"))


def plain(table: pa.Table) -> pa.Table:
    """The table with text instead of dictionaries."""
    kinds = [
        one.with_type(pa.string()) if pa.types.is_dictionary(one.type) else one
        for one in table.schema
    ]
    return table.cast(pa.schema(kinds))


def _row_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of one row group each; only the last has fewer."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        rows = sum(one.num_rows for one in waiting)
        if rows < parquet.ROW_GROUP:
            continue
        whole = pa.concat_tables(waiting).unify_dictionaries()
        used = rows - rows % parquet.ROW_GROUP
        for start in range(0, used, parquet.ROW_GROUP):
            yield whole.slice(start, parquet.ROW_GROUP)
        waiting = [whole.slice(used)]
    rest = pa.concat_tables(waiting) if waiting else None
    if rest is not None and rest.num_rows:
        yield rest.unify_dictionaries()


def _clusters(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Row groups that overlap in time stand together; the clusters follow each other."""
    cluster: list[Piece] = []
    until = 0
    for one in sorted(pieces, key=lambda piece: (piece.first, piece.last, piece.path, piece.group)):
        if cluster and one.first > until:
            yield cluster
            cluster = []
        until = max(until, one.last) if cluster else one.last
        cluster.append(one)
    if cluster:
        yield cluster


def _is_much(pieces: Sequence[Piece]) -> bool:
    """Whether so many rows, or so many bytes, are more than a window holds."""
    rows, size = sum(one.rows for one in pieces), sum(one.size for one in pieces)
    return rows > WINDOW_ROWS or size > WINDOW_BYTES


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether a file's column is of a kind of the dataset, whichever form its text has."""
    if parquet.is_text(one) and parquet.is_text(other):
        return True
    if pa.types.is_list(other) and (pa.types.is_list(one) or pa.types.is_large_list(one)):
        return _alike(one.value_type, other.value_type)
    return bool(one == other)
