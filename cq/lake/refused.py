"""Bars that the lake refused when they came, of what somebody is about to read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from cq.lake.datasets import OHLCV, REJECTED
from cq.lake.layout import Part
from cq.lake.reader import Series
from cq.lake.rules import REPLACED
from cq.lake.source import look, scan

if TYPE_CHECKING:
    from cq.lake.lake import Lake


def refused_bars(
    lake: Lake, series: Sequence[Series], since: int | None, until: int | None
) -> list[tuple[str, int, str]]:
    """(symbol, rows, rules that they broke) of refused bars that would open in [since, until)."""
    layout = lake.layouts[REJECTED.name]
    found = []
    for one in series:
        owner = {"exchange": one.exchange, "symbol": one.symbol}
        files = partial(layout.files, lake.root, owner)
        rows, rules = look(files, partial(_broken, one, since, until))
        if rows:
            found.append((one.symbol, rows, ", ".join(rules)))
    return found


def _broken(
    series: Series, since: int | None, until: int | None, parts: Sequence[Part]
) -> tuple[int, list[str]]:
    """How many rows, and the rules they broke; one that gave way to a better row broke none."""
    if not parts:
        return 0, []
    ts = pl.col("ts")
    inside = pl.lit(True)
    if since is not None:
        inside = inside & (ts.is_null() | (ts >= since))
    if until is not None:
        inside = inside & (ts.is_null() | (ts < until))
    rows = (
        scan([part.path for part in parts], REJECTED)
        .filter(
            pl.col("dataset") == OHLCV.name,
            pl.col("symbol").eq_missing(series.symbol),
            pl.col("exchange").eq_missing(series.exchange),
            pl.col("interval").eq_missing(series.interval) | pl.col("interval").is_null(),
            inside,
            pl.col("broken").list.set_difference([REPLACED]).list.len() > 0,
        )
        .select("broken")
        .collect()
    )
    rules = sorted(set(rows["broken"].explode().drop_nulls())) if rows.height else []
    return rows.height, [one for one in rules if one != REPLACED]
