"""A lazy frame that, collected as it stands, is read without Polars' engine around the reading.

To start the engine for a source that answers by itself takes a millisecond, a fifth of what a month
of minutes takes. Whatever is made of the frame goes through the engine as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl


class Direct(pl.LazyFrame):
    """What `read` yields, one after the other; frames made of it are as those of any other."""

    _read: Callable[[], Iterator[pl.DataFrame]] | None = None
    _sorted: str | None = None

    @classmethod
    def of(
        cls,
        rows: pl.LazyFrame,
        read: Callable[[], Iterator[pl.DataFrame]],
        sorted_by: str | None = None,
    ) -> Direct:
        """`rows`, which are those that `read` yields; with `sorted_by` they say that they are."""
        made = cls.__new__(cls)
        vars(made).update(vars(rows if sorted_by is None else rows.set_sorted(sorted_by)))
        made._read, made._sorted = read, sorted_by
        return made

    def collect(self, **options: Any) -> Any:
        """The rows; with options, or of what was made of them, as Polars does it."""
        if self._read is None or options:
            return super().collect(**options)
        rows = pl.concat(self._read(), rechunk=False)
        if self._sorted is None:
            return rows
        column = rows.get_column(self._sorted)
        return rows if column.flags["SORTED_ASC"] else rows.with_columns(column.set_sorted())
