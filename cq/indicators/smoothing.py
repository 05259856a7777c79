"""Exponential means and quotients: what most indicators are made of."""

from __future__ import annotations

from typing import Literal

import polars as pl

from cq.indicators.kernels import exponential, kernel, window_total

Seed = Literal["mean", "first"]
"""What an exponential mean starts from: the mean of its first window (as TA-Lib), or its first
value."""


def seeded(
    x: pl.Expr,
    alpha: float,
    window: int,
    at: int,
    seed: Seed = "mean",
    count: pl.Expr | None = None,
) -> pl.Expr:
    """y += alpha × (x − y), null before the `at`-th value that is not null.

    There it starts from the mean of the last `window` values up to there. `count` says cheaply
    which value each one is, where x itself takes work: an expression that stands in another three
    times is computed three times.
    """
    count = x.cum_count() if count is None else count
    if seed == "first":
        return pl.when(count >= at).then(smooth(x, alpha))
    total = x.cum_sum()
    first = total if at == window else total - total.shift(window).fill_null(0)
    start = pl.when(count > at).then(x).when(count == at).then(first / window)
    return smooth(start.otherwise(None), alpha)


def smooth(x: pl.Expr, alpha: float) -> pl.Expr:
    """y += alpha × (x − y) from the first value on; nulls are passed over."""
    return x.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)


def average(x: pl.Expr, window: int, seed: Seed = "mean") -> pl.Expr:
    """The exponential mean of weight 2 / (window + 1)."""
    return seeded(x, 2 / (window + 1), window, window, seed)


def wilder(x: pl.Expr, window: int, at: int | None = None) -> pl.Expr:
    """Wilder's mean, of weight 1 / window (a kernel); it begins at the `at`-th value."""
    return exponential_mean(x, 1 / window, window, at)


def exponential_mean(x: pl.Expr, alpha: float, window: int, at: int | None = None) -> pl.Expr:
    """What `seeded` is for values that took work: a kernel, in which x stands once."""
    return kernel(exponential, [x], alpha, window, at or window)


def quotient(above: pl.Expr, below: pl.Expr, flat: float | None) -> pl.Expr:
    """above / below, and `flat` where there is nothing to divide by."""
    return pl.when(below != 0).then(above / below).when(below == 0).then(pl.lit(flat, pl.Float64))


def total(x: pl.Expr, window: int) -> pl.Expr:
    """The sum of the last `window` values: exactly 0 where all of them are (a kernel).

    A rolling sum of floats keeps a rest of what has left the window, and a quotient of two rests
    is noise.
    """
    return kernel(window_total, [x], window)


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
