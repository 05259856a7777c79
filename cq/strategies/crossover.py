"""Follow the trend: hold while a fast average lies above a slow one."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from cq.indicators import CLOSE, ema, in_time_order, sma_above
from cq.strategies.contract import Kind, StrategyConfig

_FORGOTTEN = 20
"""An EMA has forgotten its start (to exp(−40)) after this many times its window."""

_TIE = 1e-12
"""EMAs closer than this fraction are equal: binary noise decides nothing in a flat market."""


class CrossoverConfig(StrategyConfig):
    """Long while the fast average is above the slow one; otherwise flat, or short."""

    same_rows: ClassVar[bool] = True

    kind: Literal["crossover"] = Field("crossover", description="which strategy")
    average: Literal["sma", "ema"] = Field("sma", description="simple or exponential mean")
    fast: int = Field(10, gt=0, description="bars in the fast average")
    slow: int = Field(30, gt=0, description="bars in the slow average")
    shorts: bool = Field(
        False, description="short while it lies below; traded where backtest.allow_short is on"
    )

    @model_validator(mode="after")
    def _fast_below_slow(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast ({self.fast}) needs fewer bars than slow ({self.slow})")
        return self

    @property
    def warmup(self) -> int:
        """Bars, the current one included, after which a signal no longer depends on older ones."""
        return self.slow if self.average == "sma" else self.slow * _FORGOTTEN


def generate_signals(bars: pl.LazyFrame, config: CrossoverConfig) -> pl.LazyFrame:
    """Add `signal`: 1 while the fast average is above, 0 otherwise, null until both are there.

    With `shorts`, −1 while it is below; 0 is then a tie.
    """
    if config.average == "sma":
        above = sma_above(CLOSE, config.fast, config.slow)
        below = sma_above(CLOSE, config.slow, config.fast)
    else:
        fast, slow = ema(CLOSE, config.fast), ema(CLOSE, config.slow)
        above, below = fast - slow > slow * _TIE, slow - fast > slow * _TIE
    signal = above.cast(pl.Int8)
    if config.shorts:
        signal = signal - below.cast(pl.Int8)
    return bars.with_columns(signal=in_time_order(signal))


CROSSOVER = Kind(CrossoverConfig, generate_signals)
