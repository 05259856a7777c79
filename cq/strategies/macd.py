"""Follow the momentum: hold while the MACD lies above its signal line, where filters allow it."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from cq.indicators import CLOSE, in_time_order, macd, realised_volatility, sma_above
from cq.strategies.contract import Kind, StrategyConfig
from cq.utils.time import bars_per_year

_FORGOTTEN = 20
"""An EMA has forgotten its start (to exp(−40)) after this many times its span."""

_TIE = 1e-12
"""A distance smaller than this fraction of the price is none: binary noise decides nothing."""


class MacdConfig(StrategyConfig):
    """Long while the MACD is above its signal line and every filter agrees, flat otherwise."""

    same_rows: ClassVar[bool] = True

    kind: Literal["macd"] = Field("macd", description="which strategy")
    fast: int = Field(12, gt=0, description="bars in the span of the fast average")
    slow: int = Field(26, gt=0, description="bars in the span of the slow average")
    signal: int = Field(9, gt=0, description="bars in the span of the signal line")
    trend: int = Field(
        0, ge=0, description="long only above the mean of so many closes, short only below; 0 = off"
    )
    volatility_window: int = Field(
        168, ge=2, description="bars whose returns the filter by volatility measures"
    )
    min_volatility: float | None = Field(
        None, gt=0, description="flat in a market calmer than this deviation a year"
    )
    max_volatility: float | None = Field(
        None, gt=0, description="flat in a market wilder than this deviation a year"
    )
    shorts: bool = Field(
        False, description="−1 below the signal line; traded where backtest.allow_short is on"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast ({self.fast}) needs fewer bars than slow ({self.slow})")
        low, high = self.min_volatility, self.max_volatility
        if low is not None and high is not None and low >= high:
            raise ValueError(f"min_volatility ({low:g}) has to lie below max_volatility ({high:g})")
        return self

    @property
    def by_volatility(self) -> bool:
        """Whether the market's volatility matters."""
        return self.min_volatility is not None or self.max_volatility is not None

    @property
    def warmup(self) -> int:
        """Bars, the current one included, after which a signal no longer depends on older ones."""
        filters = max(self.trend, self.volatility_window + 1 if self.by_volatility else 0)
        return max(_FORGOTTEN * (self.slow + self.signal), filters)


def generate_signals(bars: pl.LazyFrame, config: MacdConfig) -> pl.LazyFrame:
    """Add `signal`: 1 above the signal line (−1 below, with `shorts`), where the filters agree.

    0 otherwise; null until MACD and filters are all there.
    """
    hist = macd(CLOSE, config.fast, config.slow, config.signal)["hist"]
    noise = CLOSE * _TIE
    signal = (hist > noise) & _above(config) & _calm(config)
    found = signal.cast(pl.Int8)
    if config.shorts:
        found = found - ((hist < -noise) & _below(config) & _calm(config)).cast(pl.Int8)
    # a filter that says no is not asked for the rest: false & null is false, so nulls are put back
    known = hist.is_not_null()
    for one in (_above(config), _calm(config)):
        known = known & one.is_not_null()
    return bars.with_columns(signal=in_time_order(pl.when(known).then(found)))


def _above(config: MacdConfig) -> pl.Expr:
    return sma_above(CLOSE, 1, config.trend) if config.trend else pl.lit(True)


def _below(config: MacdConfig) -> pl.Expr:
    return sma_above(CLOSE, config.trend, 1) if config.trend else pl.lit(True)


def _calm(config: MacdConfig) -> pl.Expr:
    """Whether the volatility lies within its limits."""
    if not config.by_volatility:
        return pl.lit(True)
    measured = realised_volatility(CLOSE, config.volatility_window, bars_per_year(config.interval))
    low, high = config.min_volatility, config.max_volatility
    allowed = measured.is_not_null() if low is None else measured >= low
    allowed = allowed if high is None else allowed & (measured <= high)
    return pl.when(measured.is_not_null()).then(allowed)


MACD = Kind(MacdConfig, generate_signals)
