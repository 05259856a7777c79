"""Row groups of a file of ours in arrays, read one column at a time.

A thread that decodes and uses up a column before it reads the next finds it in its cache, and waits
for nobody. Polars hands on whole morsels, which have left the cache by then.

Nothing is taken from statistics, and no file is mapped into memory: over damaged bytes either may
end the process instead of raising an error.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Column = npt.NDArray[Any]
AT_ONCE: Final = 2
"""Row groups read together: half as often has Python to be asked, and a column still is as long as
the processor's cache holds."""
DAMAGED: Final = (OSError, pa.ArrowException, ValueError, IndexError, OverflowError)
"""What Arrow raises over bytes that make no sense, and files that are not there."""


class NotArrays(Exception):
    """Something that arrays do not tell: a missing value, a column of another type or of none."""


def row_groups(
    path: Path, start: int, end: int, share: tuple[int, int] = (0, 1)
) -> Iterator[Callable[[str], Column]]:
    """Of a few row groups at a time, the rows in [start, end): their columns by name.

    `share` says which of how many equal parts of the row groups; rows are in order of `ts`.
    """
    with pq.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
        opened = _Opened(file)
        which, of = share
        count = file.num_row_groups
        first, last = count * which // of, count * (which + 1) // of
        for at in range(first, last, AT_ONCE):
            groups = range(at, min(at + AT_ONCE, last))
            ts, rows = opened.column(groups, "ts"), slice(None)
            if not ts.size or ts[-1] < start or ts[0] >= end:
                continue
            if ts[0] < start or ts[-1] >= end:
                within = np.searchsorted(ts, (start, end))
                groups, rows = opened.around(groups, *within.tolist())
                ts = ts[slice(*within)]
            if ts.size:
                yield partial(opened.rows, groups, rows, ts)


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

    def around(self, groups: range, begin: int, end: int) -> tuple[range, slice]:
        """Those of some row groups that hold their rows from `begin` to before `end`.

        And where these lie among the rows of those.
        """
        edges = [0, *accumulate(self._metadata.row_group(one).num_rows for one in groups)]
        first = bisect_right(edges, begin, hi=len(groups)) - 1
        last = bisect_left(edges, end, lo=first + 1, hi=len(groups))
        return groups[first:last], slice(begin - edges[first], end - edges[first])

    def rows(self, groups: range, rows: slice, ts: Column, name: str) -> Column:
        """The values of some rows of row groups, of which the times are known."""
        return ts if name == "ts" else self.column(groups, name)[rows]

    def column(self, groups: range, name: str) -> Column:
        """The values of row groups that follow each other."""
        if name not in self._leaves:
            raise NotArrays
        leaves = [self._leaves[name]]
        (found,) = self._reader.read_row_groups(
            list(groups), column_indices=leaves, use_threads=False
        ).columns
        whole = len(found) == sum(self._metadata.row_group(one).num_rows for one in groups)
        if not whole or found.null_count or found.num_chunks != 1:
            raise NotArrays
        values: Column = found.chunk(0).to_numpy()
        return values
