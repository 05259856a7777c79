"""Bars made from trades, exact to the last digit, and how they differ from the exchange's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from cq.exchanges.market import UNITS
from cq.lake.resample import bucket
from cq.utils.time import iso

MOST: Final = 10.0**18
"""A size from here on has no decimals, nor room as units; its bar is added up as floats."""

VALUES: Final = ("open", "high", "low", "close", "volume")


def bars_of(trades: pl.DataFrame, interval: str) -> pl.DataFrame:
    """The bars of `interval` (the lake's `ohlcv`) that `trades` make; a bucket without one is none.

    Trades may come in any order and hold several symbols. Within a second the id decides which one
    opened and which one closed a bar; an id that is no number comes before those that are.
    """
    order = pl.col("trade_id").cast(pl.Int64, strict=False)
    return (
        trades.with_columns(order=order, units=units_of(pl.col("size")))
        .sort("symbol", "ts", "order", nulls_last=False, maintain_order=True)
        .with_columns(ts=bucket(pl.col("ts"), interval))
        .group_by("exchange", "symbol", "ts", maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("units").sum(),
            rough=pl.col("size").sum(),
            huge=pl.col("size").max() >= MOST,
        )
        .with_columns(
            volume=pl.when("huge").then("rough").otherwise(sizes_of(pl.col("volume"))),
            interval=pl.lit(interval),
        )
        .select("ts", *VALUES, "symbol", "exchange", "interval")
    )


def units_of(size: pl.Expr) -> pl.Expr:
    """Sizes as whole numbers of 1e-8, exact for whatever a float can tell apart; null from MOST on.

    In 128 bits, since two sizes of 6e10 together have no room in 64.
    """
    sane = pl.when(size < MOST).then(size)
    whole = sane.floor()
    return whole.cast(pl.Int128) * UNITS + ((sane - whole) * UNITS).round().cast(pl.Int128)


def sizes_of(units: pl.Expr) -> pl.Expr:
    """Whole numbers of 1e-8 as the floats nearest to them, as text of 8 decimals is read.

    By way of text, since dividing would round twice above 2^53 units.
    """
    fraction = (units % UNITS).cast(pl.String).str.pad_start(8, "0")
    return ((units // UNITS).cast(pl.String) + "." + fraction).cast(pl.Float64)


@dataclass(frozen=True)
class Comparison:
    """Bars made from trades beside the exchange's own of the same buckets.

    `differing`: both have the bucket, with other values; `only_built`, `only_given`: one has it.
    """

    symbol: str
    interval: str
    compared: int
    differing: pl.DataFrame
    only_built: pl.DataFrame
    only_given: pl.DataFrame

    @property
    def alone(self) -> int:
        """How many buckets only one of the two has."""
        return self.only_built.height + self.only_given.height

    @property
    def differences(self) -> int:
        """How many buckets differ, those that only one of the two has among them."""
        return self.differing.height + self.alone

    def first(self, count: int = 3) -> list[str]:
        """The oldest differences, a sentence each."""
        told = [
            (row["ts"], _unlike(row)) for row in self.differing.head(count).iter_rows(named=True)
        ]
        for frame, said in (
            (self.only_built, "trades make a bar that the exchange does not give"),
            (self.only_given, "the exchange gives a bar that no trade makes"),
        ):
            told += [(ts, said) for ts in frame["ts"].head(count)]
        return [f"{iso(ts)}: {said}" for ts, said in sorted(told)[:count]]


def compared(built: pl.DataFrame, candles: pl.DataFrame) -> Comparison:
    """How `built` differs from `candles`: bars of one symbol and interval, over the same range."""
    both = built.join(candles, on="ts", how="inner", suffix="_given", maintain_order="left")
    differ = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_given")) for name in VALUES)
    some = built if built.height else candles
    symbol, interval = some.select("symbol", "interval").row(0) if some.height else ("", "")
    return Comparison(
        symbol,
        interval,
        compared=both.height,
        differing=both.filter(differ).sort("ts"),
        only_built=built.join(candles, on="ts", how="anti").sort("ts"),
        only_given=candles.join(built, on="ts", how="anti").sort("ts"),
    )


def _unlike(row: dict[str, Any]) -> str:
    words = [
        f"{name} {row[name]!r}, the exchange says {row[f'{name}_given']!r}"
        for name in VALUES
        if row[name] != row[f"{name}_given"]
    ]
    return "; ".join(words)
