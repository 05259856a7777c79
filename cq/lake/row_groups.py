"""Row groups of a file of ours in arrays, read one column at a time.

A thread that decodes and uses up a column before it reads the next finds it in its cache, and waits
for nobody. Polars hands on whole morsels, which have left the cache by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Column = npt.NDArray[Any]
DAMAGED: Final = (OSError, pa.ArrowException)
"""What Arrow raises over bytes that make no sense, and files that are not there."""


class NotArrays(Exception):
    """Something that arrays do not tell: a missing value, a column of another type or of none."""


def row_groups(
    path: Path, start: int, end: int, share: tuple[int, int] = (0, 1)
) -> Iterator[Callable[[str], Column]]:
    """Of each row group with rows in [start, end), these rows: their columns by name.

    `share` says which of how many equal parts of the row groups; rows are in order of `ts`.
    """
    with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
        opened = _Opened(file)
        which, of = share
        count = file.num_row_groups
        for group in range(count * which // of, count * (which + 1) // of):
            first, last = opened.times(group)
            if last < start or first >= end:
                continue
            ts, rows = opened.column(group, "ts"), slice(None)
            if first < start or last >= end:
                rows = slice(*np.searchsorted(ts, (start, end)))
            if ts[rows].size:
                yield partial(opened.rows, group, rows, ts[rows])


class _Opened:
    """An open file and where its columns are."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._reader = file.reader
        self._metadata = file.metadata
        self._places = {
            one.name: place
            for place, one in enumerate(file.schema_arrow)
            if one.type == (pa.int64() if one.name == "ts" else pa.float64())
        }

    def times(self, group: int) -> tuple[int, int]:
        """The first and the last time of a row group, as its statistics say."""
        found = self._metadata.row_group(group).column(self._place("ts")).statistics
        if found is None or not found.has_min_max:
            raise NotArrays
        return found.min, found.max

    def rows(self, group: int, rows: slice, ts: Column, name: str) -> Column:
        """The values of some rows of a row group, of which the times are known."""
        return ts if name == "ts" else self.column(group, name)[rows]

    def column(self, group: int, name: str) -> Column:
        """The values of a row group."""
        read = self._reader.read_row_group
        (found,) = read(group, column_indices=[self._place(name)], use_threads=False).columns
        if found.null_count or found.num_chunks != 1:
            raise NotArrays
        values: Column = found.chunk(0).to_numpy()
        return values

    def _place(self, name: str) -> int:
        if name not in self._places:
            raise NotArrays
        return self._places[name]
