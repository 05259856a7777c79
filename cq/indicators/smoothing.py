"""Exponential means and quotients: what most indicators are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

Seed = Literal["mean", "first"]
"""What an exponential mean starts from: the mean of its first window (as TA-Lib), or its first
value."""


def seeded(x: pl.Expr, alpha: float, window: int, at: int, seed: Seed = "mean") -> pl.Expr:
    """y += alpha × (x − y), null before the `at`-th value that is not null.

    There it starts from the mean of the last `window` values up to there, or with seed="first"
    it is what became of the first value.
    """
    return pl.map_batches([x], Seeded(alpha, window, at, seed), return_dtype=pl.Float64)


@dataclass(frozen=True)
class Seeded:
    """What `seeded` does with the column of one symbol."""

    alpha: float
    window: int
    at: int
    seed: Seed

    def __call__(self, columns: Sequence[pl.Series]) -> pl.Series:
        """The exponential mean of the one column."""
        (x,) = columns
        x = x.cast(pl.Float64)
        begins = self._begins(x)
        if begins is None:
            return pl.Series(x.name, [None], pl.Float64).new_from_index(0, len(x))
        before = pl.Series(x.name, [None], pl.Float64).new_from_index(0, begins)
        if self.seed == "first":
            return before.append(self._smooth(x)[begins:])
        first = x[: begins + 1].drop_nulls().tail(self.window)
        start = pl.Series([math.fsum(first) / self.window])
        return self._smooth(before.append(start).append(x[begins + 1 :]))

    def _begins(self, x: pl.Series) -> int | None:
        """Where the `at`-th value that is not null stands."""
        if not x.null_count():
            return self.at - 1 if len(x) >= self.at else None
        there = x.is_not_null().arg_true()
        return int(there[self.at - 1]) if len(there) >= self.at else None

    def _smooth(self, x: pl.Series) -> pl.Series:
        return x.ewm_mean(alpha=self.alpha, adjust=False, ignore_nulls=True)


def smooth(x: pl.Expr, alpha: float) -> pl.Expr:
    """y += alpha × (x − y) from the first value on; nulls are passed over."""
    return x.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)


def average(x: pl.Expr, window: int, seed: Seed = "mean") -> pl.Expr:
    """The exponential mean of weight 2 / (window + 1)."""
    return seeded(x, 2 / (window + 1), window, window, seed)


def wilder(x: pl.Expr, window: int, at: int | None = None) -> pl.Expr:
    """Wilder's mean, of weight 1 / window; it begins at the `at`-th value."""
    return seeded(x, 1 / window, window, at or window)


def quotient(above: pl.Expr, below: pl.Expr, flat: float | None) -> pl.Expr:
    """above / below, and `flat` where there is nothing to divide by."""
    return pl.when(below != 0).then(above / below).when(below == 0).then(pl.lit(flat, pl.Float64))


def change(x: pl.Expr, bars: int = 1) -> pl.Expr:
    """x minus the x of so many bars before."""
    return x - x.shift(bars)


def together(**outputs: pl.Expr) -> dict[str, pl.Expr]:
    """The outputs, all null until the last named one is there."""
    last = list(outputs.values())[-1]
    return {
        name: one if one is last else pl.when(last.is_not_null()).then(one)
        for name, one in outputs.items()
    }
