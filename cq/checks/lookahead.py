"""Does a value change when later bars do? Then it was computed with the future.

The same function is run over bars that end at some moment, and over bars whose later prices are
others; whatever it says of rows up to that moment has to stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

Make = Callable[[pl.DataFrame], pl.DataFrame]
"""Bars in, the same rows with more columns out."""

KEY: Final = ("symbol", "ts")
PRICES: Final = ("open", "high", "low", "close")
DENSE: Final = 100
"""So many of the first moments are looked at one by one, so that the first bar at fault is told."""
CLOSE_ENOUGH: Final = 1e-9
"""Relative; sums over floats may differ in their last bits between a short and a long frame."""


@dataclass(frozen=True)
class Difference:
    """The first row at which a column says something else: with all bars, and with fewer."""

    column: str
    symbol: str
    ts: int
    whole: Any
    part: Any


def leaks(
    make: Make, bars: pl.DataFrame, looks: int = 24, *, dense: int = DENSE, seed: int = 0
) -> list[Difference]:
    """One difference a column that depends on later bars: the first bar at fault that was found.

    `looks` moments spread over the bars are looked at, and the first `dense` one by one.
    """
    bars = bars.sort(KEY)
    whole = _ordered(make(bars))
    found: dict[str, Difference] = {}
    random = np.random.default_rng(seed)
    for moment in moments(bars, looks, dense):
        until = pl.col("ts") <= moment
        expected = whole.filter(until)
        for other in (bars.filter(until), disturbed(bars, moment, random)):
            for one in differences(expected, _ordered(make(other)).filter(until)):
                known = found.get(one.column)
                if known is None or one.ts < known.ts:
                    found[one.column] = one
    return sorted(found.values(), key=lambda one: (one.ts, one.column))


def moments(bars: pl.DataFrame, looks: int, dense: int) -> list[int]:
    """Instants to look at: the first ones, and others spread evenly; never the last."""
    ts = bars["ts"].unique().sort().to_numpy()[:-1]
    spread = ts[np.linspace(0, max(ts.size - 1, 0), min(looks, ts.size)).astype(np.int64)]
    return sorted({*ts[:dense].tolist(), *spread.tolist()})


def disturbed(bars: pl.DataFrame, moment: int, random: np.random.Generator) -> pl.DataFrame:
    """The bars, those after `moment` at wildly other prices and volumes; each stays a bar."""
    later = (bars["ts"] > moment).to_numpy()
    factor = np.where(later, np.exp(random.normal(0, 1, later.size)), 1.0)
    names = [name for name in (*PRICES, "volume") if name in bars.columns]
    return bars.with_columns(pl.col(names) * pl.Series(factor))


def differences(expected: pl.DataFrame, found: pl.DataFrame) -> Iterator[Difference]:
    """The first row, in time, of each column in which two frames of the same rows differ."""
    if not found.select(KEY).equals(expected.select(KEY)):
        row = expected.join(found, on=KEY, how="anti")
        row = row if row.height else found.join(expected, on=KEY, how="anti")
        first = (row if row.height else expected).sort("ts", "symbol").row(0, named=True)
        yield Difference("(rows)", first["symbol"], first["ts"], expected.height, found.height)
        return
    for name in expected.columns:
        if name in KEY:
            continue
        if name not in found.columns:
            symbol, ts = expected.select(KEY).row(0) if expected.height else ("", 0)
            yield Difference(name, symbol, ts, "a column", "none")
            continue
        differing = ~same(expected[name], found[name])
        if differing.any():
            at = expected.select(*KEY).with_columns(row=pl.int_range(pl.len())).filter(differing)
            symbol, ts, row = at.sort("ts", "symbol").row(0)
            yield Difference(name, symbol, ts, expected[name][row], found[name][row])


def same(one: pl.Series, other: pl.Series) -> pl.Series:
    """Row by row: equal, floats to nine digits; null equals null, NaN equals NaN."""
    if not one.dtype.is_float():
        return one.eq_missing(other)
    a, b = one.cast(pl.Float64).to_numpy(), other.cast(pl.Float64).to_numpy()
    with np.errstate(invalid="ignore"):
        larger = np.maximum(np.abs(a), np.abs(b))
        near = (np.abs(a - b) <= CLOSE_ENOUGH * larger) & np.isfinite(larger)
    return pl.Series(near) & one.is_not_null() & other.is_not_null() | one.eq_missing(other)


def _ordered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(KEY)
