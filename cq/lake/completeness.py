"""How much of what should be there is there: the bars of each series and UTC day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from cq.lake.suspects import SERIES, Blocks
from cq.utils.time import DAY, iso

LETTERS = {"no_trade": "n", "outage": "o", "never_fetched": "v", "lost": "l"}
GAPS = """
with days as (
    select exchange, symbol, interval, class, ts, end_ts, bars,
    unnest(range(ts // $day, (end_ts - 1) // $day + 1)) as day
    from gaps where interval <> '1M' and interval not like '%w'
)
select exchange, symbol, interval, day, class,
sum(bars * ((least(end_ts, (day + 1) * $day) - greatest(ts, day * $day)) / (end_ts - ts))) as bars
from days group by all
"""


@dataclass(frozen=True)
class Calendar:
    """The days of one series: how many bars of each are missing, and why most of them are."""

    exchange: str
    symbol: str
    interval: str
    first_day: int
    """Days since 1970."""
    a_day: int
    """Bars that a whole day has."""
    missing: tuple[int, ...]
    why: str
    """A letter a day: that of a class of gaps, `u` where that is not known, `.` for none."""

    @property
    def share(self) -> float:
        """The part of the expected bars that is there."""
        return 1 - sum(self.missing) / max(1, self.a_day * len(self.missing))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "interval": self.interval,
            "first_day": iso(self.first_day * DAY)[:10],
            "days": len(self.missing),
            "missing": sum(self.missing),
            "share": self.share,
        }


def calendars(cursor: duckdb.DuckDBPyConnection, blocks: Sequence[Blocks]) -> tuple[Calendar, ...]:
    """The calendar of every series of bars of a day or shorter that was passed over.

    Nothing is expected before a series' first bar and after its last one.
    """
    days = [_days(one) for one in blocks]
    days.append(
        cursor.sql(
            f"select exchange, symbol, interval, ts // {DAY} as day, count(distinct ts) as bars, "
            "1::bigint as a_day from raw.ohlcv where interval = '1d' group by all"
        ).pl()
    )
    known = pl.concat(days).drop_nulls()
    why: dict[tuple[Any, ...], dict[int, str]] = {}
    short = pl.col("bars") < pl.col("a_day")
    runs = pl.col("day").diff().over(SERIES, order_by="day") > 1
    if known.select((short | runs).any()).item():
        most = (
            cursor.sql(GAPS, params={"day": DAY}).pl()
            .sort("bars", "class", descending=[True, False])
            .unique([*SERIES, "day"], keep="first", maintain_order=True)
        )  # fmt: skip
        for *series, day, kind, _ in most.iter_rows():
            why.setdefault(tuple(series), {})[day] = LETTERS[kind]
    return tuple(
        _calendar(series, rows, why.get(series, {}))
        for series, rows in sorted(known.partition_by(*SERIES, as_dict=True).items())
    )


def _days(blocks: Blocks) -> pl.DataFrame:
    """exchange, symbol, interval, day, bars and how many a whole day has."""
    facts = blocks.facts
    a_day = DAY // int(facts["step_ns"][0]) if facts.height else 0
    return (
        facts.group_by("exchange", "symbol", day=pl.col("block") * blocks.length // DAY)
        .agg(bars=pl.col("bars").sum())
        .select(
            "exchange",
            "symbol",
            "day",
            pl.col("bars").cast(pl.Int64),
            interval=pl.lit(blocks.interval),
            a_day=pl.lit(a_day, pl.Int64),
        )
        .select(*SERIES, "day", "bars", "a_day")
    )


def _calendar(series: tuple[Any, ...], rows: pl.DataFrame, why: dict[int, str]) -> Calendar:
    exchange, symbol, interval = series
    held = dict(zip(rows["day"], rows["bars"], strict=True))
    a_day = int(rows["a_day"][0])
    first, last = min(held), max(held)
    missing = [
        0 if day in (first, last) else max(0, a_day - held.get(day, 0))
        for day in range(first, last + 1)
    ]
    letters = "".join(
        why.get(first + at, "u") if count else "." for at, count in enumerate(missing)
    )
    return Calendar(exchange, symbol, interval, first, a_day, tuple(missing), letters)
