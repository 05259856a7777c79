"""What has been asked for and answered already, so that no trade there and never fetched differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from cq.exchanges.pages import Range
from cq.lake import Lake
from cq.lake.datasets import COVERAGE
from cq.lake.source import rows_of as rows_in


def covered(
    lake: Lake, dataset: str, exchange: str, symbol: str, interval: str | None
) -> list[Range]:
    """The covered ranges of one symbol, joined where they touch, oldest first."""
    owner = {"exchange": exchange, "symbol": symbol}
    rows = rows_in(lake.root, lake.layouts[COVERAGE.name], COVERAGE, owner).filter(
        pl.col("dataset") == dataset,
        pl.col("exchange") == exchange,
        pl.col("symbol") == symbol,
        pl.col("interval").eq_missing(pl.lit(interval, pl.String)),
    )
    return joined(rows.select("start_ts", "end_ts").collect())


def joined(ranges: pl.DataFrame) -> list[Range]:
    """Ranges (`start_ts`, `end_ts`) as the fewest that cover the same."""
    end_before = pl.col("end_ts").cum_max().shift(1)
    runs = (
        ranges.sort("start_ts", "end_ts")
        .with_columns(run=(pl.col("start_ts") > end_before).fill_null(value=True).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col("start_ts").min(), pl.col("end_ts").max())
    )
    return list(runs.select("start_ts", "end_ts").iter_rows())


def gaps(asked: Range, known: Iterable[Range]) -> list[Range]:
    """What of `asked` is in none of `known`, which are apart and oldest first."""
    found, start = [], asked[0]
    for known_start, known_end in known:
        if start < min(known_start, asked[1]):
            found.append((start, min(known_start, asked[1])))
        start = max(start, known_end)
    if start < asked[1]:
        found.append((start, asked[1]))
    return found


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
