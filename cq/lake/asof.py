"""Each row with the newest row of another frame at its time, symbol by symbol."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from cq.errors import UsageError


def asof(
    rows: pl.DataFrame, known: pl.DataFrame, *, by: str = "symbol", delay_ns: int = 0
) -> pl.DataFrame:
    """`rows` with the columns of the newest of `known` that has a `ts` no later, of the same `by`.

    Both are sorted by (`by`, `ts`), as `Lake.bars` gives them; rows stay as they are and where they
    are. `delay_ns` says how long after its `ts` a row is known: bars are stamped with their opening
    and known once they closed, so without looking ahead it is their interval.
    """
    stretches = dict(_stretches(known.with_columns(pl.col("ts") + delay_ns), by))
    nothing = known.clear()
    parts = [
        mine.lazy().join_asof(
            stretches.get(name, nothing).lazy().drop(by), on="ts", strategy="backward"
        )
        for name, mine in _stretches(rows, by)
    ]
    if not parts:
        return rows.lazy().join_asof(nothing.lazy().drop(by), on="ts").collect()
    return pl.concat(pl.collect_all(parts))


def _stretches(rows: pl.DataFrame, by: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each value of `by` with its rows, which are a slice."""
    values = rows.get_column(by)
    if not values.is_sorted():
        raise UsageError(f"asof: rows are not sorted by {by}; sort them by ({by}, ts) first")
    at = 0
    while at < rows.height:
        end = int(values.search_sorted(values[at], side="right"))
        yield values[at], rows.slice(at, end - at)
        at = end
