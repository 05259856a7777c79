"""What a strategy has to beat: buying and holding, and equal weights kept equal."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from cq.indicators import in_time_order
from cq.strategies.contract import Kind, StrategyConfig
from cq.utils.time import interval_ns


class BuyAndHoldConfig(StrategyConfig):
    """All symbols in equal parts, bought at once and left alone."""

    kind: Literal["buy_and_hold"] = Field("buy_and_hold", description="which strategy")
    warmup: ClassVar[int] = 1


class EqualWeightConfig(StrategyConfig):
    """All symbols in equal parts, made equal again every `every` bars."""

    kind: Literal["equal_weight"] = Field("equal_weight", description="which strategy")
    acts: ClassVar[bool] = True
    every: int = Field(168, gt=0, description="bars from one rebalancing to the next")
    warmup: ClassVar[int] = 2


def generate_signals(bars: pl.LazyFrame, config: StrategyConfig) -> pl.LazyFrame:
    """Add `signal`: always 1."""
    del config
    return bars.with_columns(signal=pl.lit(1, pl.Int8))


def split(bars: pl.LazyFrame, config: StrategyConfig) -> pl.LazyFrame:
    """Add `target`: each symbol's part of what `sizing` gives to one."""
    sized = config.sizing.sized(bars, config.interval)
    return sized.with_columns(pl.col("target") / len(config.symbols))


def rebalanced(bars: pl.LazyFrame, config: EqualWeightConfig) -> pl.LazyFrame:
    """Add `target`, equal parts, and `act`: at a symbol's first bar of each period."""
    period = pl.col("ts") // (config.every * interval_ns(config.interval))
    begins = in_time_order(period != period.shift(1)).fill_null(False)
    return split(bars, config).with_columns(act=begins)


BUY_AND_HOLD = Kind(BuyAndHoldConfig, generate_signals, split)
EQUAL_WEIGHT = Kind(EqualWeightConfig, generate_signals, rebalanced)
