"""What every indicator shares: columns by name, time order said once, exact numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import polars as pl

CLOSE: Final = pl.col("close")

Column = str | pl.Expr
"""A column by its name, or an expression in its place."""

DECIMALS: Final = 8
"""Fixed point keeps this many decimals: those of the finest tick of a crypto market."""


def column(one: Column) -> pl.Expr:
    """The expression itself, or the column of that name, as floats.

    Whole numbers without a sign or of few bits run over, and decimals are cut off.
    """
    return (pl.col(one) if isinstance(one, str) else one).cast(pl.Float64)


def nanoseconds(ts: Column = "ts") -> pl.Expr:
    """Moments as whole nanoseconds since 1970 (UTC), which `ts` counts, or holds as datetimes."""
    moments = pl.col(ts) if isinstance(ts, str) else ts
    return moments.cast(pl.Datetime("ns")).to_physical()


_ONE_MARKET: ContextVar[bool] = ContextVar("one_market", default=False)


def in_time_order(expr: pl.Expr) -> pl.Expr:
    """Evaluate `expr` for each symbol on its own, oldest bar first."""
    return expr if is_one_market() else over_symbols(expr)


def over_symbols(expr: pl.Expr) -> pl.Expr:
    """`in_time_order`, whatever is known of the plan."""
    return expr.over("symbol", order_by="ts")


def is_one_market() -> bool:
    """Whether the plan being made is for bars of one symbol that lie in the order of time."""
    return _ONE_MARKET.get()


@contextmanager
def one_market() -> Iterator[None]:
    """Plans made inside are for bars of one symbol that lie in the order of time.

    `in_time_order` then has nothing to group or to sort: the same values for half the work.
    """
    token = _ONE_MARKET.set(True)
    try:
        yield
    finally:
        _ONE_MARKET.reset(token)


def fixed_point(values: Column, decimals: int = DECIMALS) -> pl.Expr:
    """`values` as whole multiples of 10^-decimals (Int64).

    Sums over them are exact, hence the same on any engine, any number of threads and any length
    of history; sums of floats are not. What does not fit (9.2e10 at 8 decimals) raises.
    """
    return (column(values) * 10.0**decimals).round().cast(pl.Int64)
