"""How far back decisions look: so many bars of each symbol, and further where they are compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

Times = npt.NDArray[np.int64]


def first_places(
    times: Mapping[str, Times], since: int, warmup: int, compares: int = 0
) -> dict[str, int]:
    """Of each symbol with bars from `since` on, the first that decisions from then on look at.

    It is `warmup` − 1 bars before. Where symbols of one moment are compared on the way, `compares`
    times one after the other, that holds of each bar of the others, too: one that is traded seldom
    looks back on a longer time. `times` are when bars open, oldest first.
    """
    for more in range(compares, -1, -1):
        found = {
            symbol: max(0, place - warmup + 1)
            for symbol, opens in times.items()
            if (place := int(np.searchsorted(opens, since))) < opens.size
        }
        if more and found:
            since = min(int(times[symbol][place]) for symbol, place in found.items())
    return found


def until(bars: pl.DataFrame, ts: int, warmup: int, compares: int = 0) -> pl.DataFrame:
    """Of `bars`, in time order in each symbol, those that a decision at `ts` looks at.

    Of a symbol that has none then it may be the last `warmup` ones before.
    """
    older = bars.filter(pl.col("ts") <= ts)
    place = pl.int_range(pl.len()).over("symbol")
    usual = pl.len().over("symbol").cast(pl.Int64) - warmup  # below 0 where there are fewer
    found = first_places(times_of(older), ts, warmup, compares) if compares else {}
    if not found:
        return older.filter(place >= usual)
    first = pl.col("symbol").replace_strict(found, default=None, return_dtype=pl.Int64)
    return older.filter(place >= pl.min_horizontal(first, usual))


def since(bars: pl.DataFrame, ts: int, warmup: int, compares: int = 0) -> pl.DataFrame:
    """Of `bars`, in time order in each symbol, those that decisions from `ts` on look at."""
    found = first_places(times_of(bars), ts, warmup, compares)
    first = pl.col("symbol").replace_strict(found, default=None, return_dtype=pl.Int64)
    return bars.filter(pl.int_range(pl.len()).over("symbol") >= first)


def times_of(bars: pl.DataFrame) -> dict[str, Times]:
    """When the bars of each symbol open."""
    parts = bars.select("symbol", "ts").partition_by("symbol", as_dict=True, maintain_order=True)
    return {str(symbol): rows["ts"].to_numpy() for (symbol,), rows in parts.items()}
