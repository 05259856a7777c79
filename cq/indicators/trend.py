"""Averages that follow the price."""

from __future__ import annotations

import polars as pl

from cq.indicators.columns import column, fixed_point


def sma(values: str | pl.Expr, window: int) -> pl.Expr:
    """The mean of the last `window` values; null for the first window − 1.

    Whole numbers are summed exactly. Floats are not: their last bits may depend on engine and
    threads, so compare averages with `sma_above`.
    """
    return column(values).rolling_sum(window) / window


def sma_above(values: str | pl.Expr, fast: int, slow: int) -> pl.Expr:
    """Whether the mean of the last `fast` values lies above that of the last `slow`, exactly.

    Compared as whole numbers (8 decimals, 128 bits), crosswise instead of divided: a flat market
    is a tie, on any machine. Null until both averages are there.
    """
    whole = fixed_point(values).cast(pl.Int128)
    return whole.rolling_sum(fast) * slow > whole.rolling_sum(slow) * fast


def ema(values: str | pl.Expr, window: int) -> pl.Expr:
    """The exponential mean with weight 2 / (window + 1), seeded as TA-Lib does.

    The seed is the plain mean of the first `window` values; null before it. Nulls at the start
    are passed over. A start of history is forgotten by exp(−2) every `window` bars.
    """
    x = column(values)
    number = x.is_not_null().cum_sum()
    seeded = pl.when(number == window).then(x.cum_sum() / window).when(number > window).then(x)
    return seeded.otherwise(None).ewm_mean(alpha=2 / (window + 1), adjust=False, ignore_nulls=False)
