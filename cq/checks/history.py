"""How much does a value depend on where history starts? Live trading starts it at `warmup` bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from cq.checks.lookahead import KEY, Difference, Make, same
from cq.strategies.reach import until

FACTORS: Final = (1, 2, 4)
"""Histories that are tried, as multiples of the warm-up."""


@dataclass(frozen=True)
class Dependence:
    """What a history of `bars` bars makes of a column, against all of history.

    `largest` is the greatest absolute difference of a numeric column where both have a value;
    `first` is the first row that differs by more than float noise.
    """

    bars: int
    column: str
    compared: int
    differing: int
    largest: float
    first: Difference | None


def dependences(
    make: Make, bars: pl.DataFrame, warmup: int, looks: int = 24, compares: int = 0
) -> list[Dependence]:
    """For each history and each column that `make` adds: how often and by how much it differs.

    Looked at are the last rows of windows that end at `looks` moments, each at least `warmup` bars
    into its symbol's history, and at as many moments at which the column `signal` changes.
    """
    bars = bars.sort(KEY)
    whole = make(bars).sort(KEY)
    added = [name for name in whole.columns if name not in bars.columns]
    ends = _ends(bars, whole, warmup, looks)
    found = []
    for factor in FACTORS:
        length = warmup * factor
        last = [_last(make, until(bars, ts, length, compares), symbol, ts) for symbol, ts in ends]
        if not last:
            continue
        rows = pl.concat(last).sort("ts", "symbol")
        expected = rows.select(KEY).join(whole, on=KEY, how="left", maintain_order="left")
        found += [_dependence(length, name, expected, rows) for name in added]
    return found


def _ends(
    bars: pl.DataFrame, whole: pl.DataFrame, warmup: int, looks: int
) -> list[tuple[str, int]]:
    """(symbol, ts) of rows with enough history behind them: spread, and where signals change."""
    rows = bars.select(KEY).with_columns(number=pl.int_range(pl.len()).over("symbol"))
    change = (
        whole["signal"].ne_missing(whole["signal"].shift(1)) if "signal" in whole.columns else None
    )
    if change is not None:
        rows = rows.with_columns(changes=change)
    warm = rows.filter(pl.col("number") >= warmup)
    chosen = _spread(warm, looks)
    if change is not None:
        chosen += _spread(warm.filter("changes"), looks)
    return sorted(set(chosen), key=lambda one: (one[1], one[0]))


def _spread(rows: pl.DataFrame, looks: int) -> list[tuple[str, int]]:
    at = np.linspace(0, max(rows.height - 1, 0), min(looks, rows.height)).astype(np.int64)
    return rows[at.tolist()].select(KEY).rows() if rows.height else []


def _last(make: Make, window: pl.DataFrame, symbol: str, ts: int) -> pl.DataFrame:
    """The row of `symbol` at `ts`, computed over the window that live trading has by then."""
    return make(window).filter(pl.col("ts") == ts, pl.col("symbol") == symbol)


def _dependence(length: int, name: str, expected: pl.DataFrame, rows: pl.DataFrame) -> Dependence:
    whole, part = expected[name], rows[name]
    differing = ~same(whole, part)
    largest, first = 0.0, None
    if whole.dtype.is_numeric():
        largest = float((whole.cast(pl.Float64) - part.cast(pl.Float64)).abs().max() or 0.0)  # type: ignore[arg-type]
    if differing.any():
        row = int(differing.arg_true()[0])
        first = Difference(name, rows["symbol"][row], rows["ts"][row], whole[row], part[row])
    return Dependence(length, name, rows.height, int(differing.sum()), largest, first)


def at_fault(found: Sequence[Dependence], warmup: int) -> list[Dependence]:
    """Signals and targets that a history of `warmup` bars does not settle."""
    return [
        one
        for one in found
        if one.bars == warmup
        and one.differing
        and (one.column == "signal" or (one.column == "target" and _counts(one)))
    ]


def _counts(one: Dependence) -> bool:
    """A target may differ by 1e-9; one that is null here and not there always counts."""
    first = one.first
    return first is not None and (
        one.largest > 1e-9 or (first.whole is None) != (first.part is None)
    )
