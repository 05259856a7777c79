"""Row groups of a file of ours in arrays, read one column at a time.

A thread that decodes and uses up a column before it reads the next finds it in its cache, and waits
for nobody. Polars hands on whole morsels, which have left the cache by then.

Nothing is taken from statistics, and no file is mapped into memory: over damaged bytes either may
end the process instead of raising an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Column = npt.NDArray[Any]
DAMAGED: Final = (OSError, pa.ArrowException, ValueError, IndexError, OverflowError)
"""What Arrow raises over bytes that make no sense, and files that are not there."""


class NotArrays(Exception):
    """Something that arrays do not tell: a missing value, a column of another type or of none."""


def row_groups(
    path: Path, start: int, end: int, share: tuple[int, int] = (0, 1)
) -> Iterator[Callable[[str], Column]]:
    """Of each row group with rows in [start, end), these rows: their columns by name.

    `share` says which of how many equal parts of the row groups; rows are in order of `ts`.
    """
    with pq.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
        opened = _Opened(file)
        which, of = share
        count = file.num_row_groups
        for group in range(count * which // of, count * (which + 1) // of):
            ts, rows = opened.column(group, "ts"), slice(None)
            if not ts.size or ts[-1] < start or ts[0] >= end:
                continue
            if ts[0] < start or ts[-1] >= end:
                rows = slice(*np.searchsorted(ts, (start, end)))
            if ts[rows].size:
                yield partial(opened.rows, group, rows, ts[rows])


class _Opened:
    """An open file and where its columns are."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._reader = file.reader
        self._metadata = file.metadata
        leaves = [file.schema.column(leaf) for leaf in range(file.metadata.num_columns)]
        times = Counter(one.path for one in leaves)
        self._leaves = {
            one.path: leaf
            for leaf, one in enumerate(leaves)
            if one.physical_type == ("INT64" if one.path == "ts" else "DOUBLE")
            and one.logical_type.type == "NONE"
            and one.max_repetition_level == 0
            and times[one.path] == 1
        }

    def rows(self, group: int, rows: slice, ts: Column, name: str) -> Column:
        """The values of some rows of a row group, of which the times are known."""
        return ts if name == "ts" else self.column(group, name)[rows]

    def column(self, group: int, name: str) -> Column:
        """The values of a row group."""
        if name not in self._leaves:
            raise NotArrays
        leaves = [self._leaves[name]]
        (found,) = self._reader.read_row_group(
            group, column_indices=leaves, use_threads=False
        ).columns
        whole = len(found) == self._metadata.row_group(group).num_rows
        if not whole or found.null_count or found.num_chunks != 1:
            raise NotArrays
        values: Column = found.chunk(0).to_numpy()
        return values
