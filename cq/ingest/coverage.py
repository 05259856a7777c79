"""What has been asked for and answered already, so that no trade there and never fetched differ."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from cq.lake import Lake, known
from cq.lake.known import Range, gaps, joined

__all__ = ["covered", "first_gap", "gaps", "hull", "joined", "rows_of"]


def covered(
    lake: Lake, dataset: str, exchange: str, symbol: str, interval: str | None
) -> list[Range]:
    """The ranges of one series that are known, joined where they touch, oldest first."""
    return known.covered(lake.root, lake.layouts, dataset, exchange, symbol, interval)


def first_gap(
    lake: Lake, dataset: str, exchange: str, symbol: str, interval: str | None
) -> int | None:
    """Where to go on: at the first instant that is not known after the series begins.

    What a damaged file held belongs to the series. None where nothing was ever asked for or lost.
    """
    series = (dataset, exchange, symbol, interval)
    there = covered(lake, *series)
    begun = [there[0][1]] if there else []
    lost = known.still_lost(lake.root, lake.layouts, *series)
    begun += [start for start, _ in lost if start > 0]  # 0: nothing tells from when on
    return min(begun, default=None)


def hull(ranges: Sequence[Sequence[int]]) -> Range | None:
    """From the first start to the last end of (start, end, …); None of none."""
    if not ranges:
        return None
    return min(one[0] for one in ranges), max(one[1] for one in ranges)


def rows_of(
    ranges: Sequence[tuple[int, int, int]],
    *,
    dataset: str,
    exchange: str,
    symbol: str,
    interval: str | None,
    asked_ns: int,
    source: str,
) -> pl.DataFrame:
    """Coverage rows for (start, end, number of rows), those that touch as one."""
    merged: list[tuple[int, int, int]] = []
    for start, end, count in sorted(ranges):
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end, merged[-1][2] + count)
        else:
            merged.append((start, end, count))
    schema = {"start_ts": pl.Int64, "end_ts": pl.Int64, "rows": pl.Int64}
    return pl.DataFrame(merged, schema=schema, orient="row").with_columns(
        dataset=pl.lit(dataset),
        symbol=pl.lit(symbol),
        exchange=pl.lit(exchange),
        interval=pl.lit(interval, pl.String),
        asked_ts=pl.lit(asked_ns, pl.Int64),
        source=pl.lit(source),
    )
