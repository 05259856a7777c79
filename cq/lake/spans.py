"""Between which values the columns of a Parquet file lie, by the values themselves.

Not by the statistics of its footer: where that is damaged, asking for them ends the process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cq.lake.places import is_remote

Span = tuple[Any, Any]


def opened(path: Path, words: Collection[str] = ()) -> pq.ParquetFile:
    """A file, on either storage; `words` are columns of text that has few values."""
    source = path.open("rb") if is_remote(path) else path
    about = pq.read_metadata(source)
    there = {about.schema.column(leaf).path for leaf in range(about.num_columns)}
    return pq.ParquetFile(source, metadata=about, read_dictionary=list(there & {*words}))


def spans(
    file: pq.ParquetFile, columns: Iterable[str], groups: Iterable[int] | None = None
) -> dict[str, Span]:
    """The least and the greatest value of each of these columns, of some row groups or all.

    A column that is not there, or has no value, has no span.
    """
    wanted = [name for name in columns if name in file.schema_arrow.names]
    found: dict[str, Span] = {}
    if not wanted:
        return found
    for group in range(file.num_row_groups) if groups is None else groups:
        rows = file.read_row_group(group, columns=wanted, use_threads=False)
        for name in wanted:
            ends = _ends(rows.column(name))
            if ends is not None:
                found[name] = _wider(found.get(name, ends), ends)
    return found


def _ends(column: pa.ChunkedArray) -> Span | None:
    if pa.types.is_dictionary(column.type):  # only the words that stand in a row
        column = pc.unique(column).dictionary_decode()
    least, greatest = pc.min_max(column).values()
    return (least.as_py(), greatest.as_py()) if least.is_valid else None


def _wider(one: Span, other: Span) -> Span:
    return min(one[0], other[0]), max(one[1], other[1])
