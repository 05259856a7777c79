"""Bars of our own making that differ from what all of their trades make, put right.

A trade that comes after its bar was made spoils it. Where coverage proves that every trade of the
bar is here, the bar that they make takes its place. Only where every source that its file names is
our own building from trades: what an exchange says of itself, or came in a file, is not overwritten
with ours, and the check `trades_disagree` goes on telling the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import polars as pl

from cq.ingest.built_bars import bars_of
from cq.ingest.resume import trades_in
from cq.lake import Lake, collected
from cq.lake.datasets import OHLCV
from cq.lake.origin import JOINER, origin_of
from cq.utils.time import DAY, bar_end

BUILDERS: Final = ("stream", "recording", "trades, repair")
"""After an exchange's name: the sources of bars that cq made of trades."""

SERIES: Final = ("exchange", "symbol", "interval")
KEY: Final = (*SERIES, "ts")


def spoilt(
    lake: Lake, symbols: Sequence[str] | None = None, since: int | None = None,
    until: int | None = None,
) -> pl.DataFrame:  # fmt: skip
    """The bars that differ from their trades, by key, and whether each is `ours` to put right."""
    found = lake.sql(
        "select exchange, symbol, interval, ts from trades_disagree"
        " where ($1 is null or ts >= $1) and ($2 is null or ts < $2) order by all",
        [since, until],
    )
    if symbols:
        found = found.filter(pl.col("symbol").is_in(list(symbols)))
    ours = [_built(lake, some) for some in found.partition_by(SERIES, maintain_order=True)]
    return pl.concat([found.with_columns(ours=pl.lit(value=False)).clear(), *ours])


def _built(lake: Lake, bars: pl.DataFrame) -> pl.DataFrame:
    """Bars of one series, and whether we made each, by what the files that hold it say."""
    owner = {name: str(bars.item(0, name)) for name in SERIES}
    low, high = int(bars.item(0, "ts")), int(bars.item(-1, "ts"))
    allowed = {f"{owner['exchange']} {one}" for one in BUILDERS}

    @cache
    def made(path: str) -> bool:
        said = origin_of(path)
        return said is not None and set(said.source.split(JOINER)) <= allowed

    there = pl.scan_parquet(
        lake.layouts[OHLCV.name].paths(lake.root, owner, low, high + 1),
        schema=dict(OHLCV.schema),
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
        glob=False,
        include_file_paths="path",
    ).join(bars.lazy(), on=KEY, how="semi")
    held = collected(there.select(*KEY, "path"), lake.root)
    says = pl.Series("ours", [made(path) for path in held["path"]], pl.Boolean)
    by_key = held.with_columns(says).group_by(KEY).agg(pl.col("ours").all())
    return bars.join(by_key, on=KEY, how="left", maintain_order="left").with_columns(
        pl.col("ours").fill_null(value=False)
    )


def corrected(lake: Lake, bars: pl.DataFrame, now_ns: int) -> int:
    """Put what their trades make in the place of the `spoilt` bars that are ours; how many."""
    count = 0
    for some in bars.filter("ours").partition_by(SERIES, maintain_order=True):
        exchange, symbol, interval = some.select(SERIES).row(0)
        trades = trades_in(lake, exchange, symbol)
        days = some.with_columns(day=pl.col("ts") // DAY)
        for near in days.partition_by("day", maintain_order=True, include_key=False):
            start, end = int(near.item(0, "ts")), bar_end(int(near.item(-1, "ts")), interval)
            inside = trades.filter(pl.col("ts").is_between(start, end, closed="left"))
            made = bars_of(collected(inside, lake.root), interval)
            right = made.join(near, on=KEY, how="semi", maintain_order="left")
            count += lake.replace(
                OHLCV.name, right, source=f"{exchange} trades, repair", now_ns=now_ns,
                asked=(start, end),
            ).replaced  # fmt: skip
    return count
