"""Missing bars and why they are missing: the view `gaps`, for some series and a stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import polars as pl

from cq.errors import DataError, UsageError
from cq.lake.catalog import Catalog
from cq.lake.resample import MONTH, ceiling
from cq.lake.statements import first_line
from cq.lake.stillness import still
from cq.utils.time import interval_ns

NO_TRADE: Final = "no_trade"
OUTAGE: Final = "outage"
NEVER_FETCHED: Final = "never_fetched"
LOST: Final = "lost"
CLASSES: Final = (NO_TRADE, OUTAGE, NEVER_FETCHED, LOST)

COLUMNS: Final = (
    *("exchange", "symbol", "interval", "ts", "end_ts", "time", "end_time"),
    *("bars", "class", "reason", "evidence"),
)


def gaps(
    catalog: Catalog,
    start: int,
    end: int,
    *,
    symbols: Sequence[str] | None = None,
    interval: str | None = None,
    exchange: str | None = None,
    classes: Sequence[str] | None = None,
    now_ns: int | None = None,
) -> pl.DataFrame:
    """Runs of missing bars that open in [start, end), cut to it, by exchange, symbol, interval, ts.

    UsageError names the classes where one is none.
    """
    for one in classes or ():
        if one not in CLASSES:
            raise UsageError(f"{one!r} is no class of gaps; there is {', '.join(CLASSES)}")
    wanted: list[tuple[str, Any]] = [("end_ts > ?", start), ("ts < ?", end)]
    for name, values in (("symbol", symbols), ("class", classes)):
        if values is not None:
            wanted.append((f"{name} in (select unnest(?::varchar[]))", list(values)))
    for name, value in (("interval", interval), ("exchange", exchange)):
        if value is not None:
            wanted.append((f"{name} = ?", value))
    query = (
        f"select {', '.join(COLUMNS)} from gaps where {' and '.join(text for text, _ in wanted)} "
        "order by exchange, symbol, interval, ts"
    )
    cursor = catalog.cursor(query)
    if now_ns is not None:
        cursor.execute("set variable now_ns = ?", [now_ns])
    try:
        with still(catalog.root):
            found: pl.DataFrame = cursor.sql(query, params=[value for _, value in wanted]).pl()
    except duckdb.Error as error:
        raise catalog.told(error, DataError(f"gaps: {first_line(error)}")) from error
    return _cut(found, start, end)


def _cut(runs: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """Runs without the bars that open outside of [start, end)."""
    if runs.is_empty():
        return runs
    kept = pl.concat(_cut_of(one, start, end) for one in runs.partition_by("interval"))
    kind = runs.schema["time"]
    return (
        kept.filter(pl.col("bars") > 0)
        .with_columns(
            time=pl.from_epoch("ts", "ns").cast(kind),
            end_time=pl.from_epoch("end_ts", "ns").cast(kind),
        )
        .sort("exchange", "symbol", "interval", "ts")
    )


def _cut_of(runs: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """The runs of one interval: months by the calendar, others counted from a run's first."""
    interval: str = runs.item(0, "interval")
    end = min(end, runs.select(pl.col("end_ts").max()).item())
    if interval == MONTH:
        first = pl.max_horizontal("ts", pl.lit(ceiling(start, MONTH)))
        last = pl.min_horizontal("end_ts", pl.lit(ceiling(end, MONTH)))
        return runs.with_columns(ts=first, end_ts=last, bars=_month(last) - _month(first))
    step = interval_ns(interval)
    skipped = pl.max_horizontal(0, -((pl.col("ts") - start) // step))
    kept = pl.min_horizontal("bars", -((pl.col("ts") - end) // step))
    return runs.with_columns(
        ts=pl.col("ts") + skipped * step, end_ts=pl.col("ts") + kept * step, bars=kept - skipped
    )


def _month(ts: pl.Expr) -> pl.Expr:
    """Months since year 0."""
    time = pl.from_epoch(ts, "ns")
    return time.dt.year().cast(pl.Int64) * 12 + time.dt.month()
