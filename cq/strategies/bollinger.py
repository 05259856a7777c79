"""Bet on the way back: buy below the lower Bollinger band, sell where the price is usual again."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from cq.indicators import CLOSE, bollinger, in_time_order
from cq.strategies.contract import Kind, StrategyConfig
from cq.strategies.holding import fresh, held, looked_back
from cq.utils.models import MANY_BARS

_TIE = 1e-12
"""Closer to a band than this fraction of the price is on it: in a flat market nothing is beyond."""


class BollingerConfig(StrategyConfig):
    """Long from the lower band until the middle (or the upper band), at most `max_bars` bars."""

    same_rows: ClassVar[bool] = True

    kind: Literal["bollinger"] = Field("bollinger", description="which strategy")
    window: int = Field(20, gt=1, description="bars in the mean and the deviation")
    k: float = Field(2.0, gt=0, description="deviations from the mean to a band")
    entry: Literal["touch", "break", "reentry"] = Field(
        "reentry",
        description="touch: the bar's low reaches the lower band; break: it closes below the band; "
        "reentry: it closes within again",
    )
    exit: Literal["middle", "opposite"] = Field(
        "middle", description="sold at a close that reaches the mean, or the other band"
    )
    max_bars: int = Field(
        240,
        gt=1,
        le=MANY_BARS,
        description="a position is given up after so many bars; see docs/strategies.md",
    )
    shorts: bool = Field(
        False, description="the same from the upper band; traded where backtest.allow_short is on"
    )

    @property
    def reads_all(self) -> bool:
        """Whether other columns than the close are read."""
        return self.entry == "touch"

    @property
    def warmup(self) -> int:
        """Bars, the current one included, after which a signal no longer depends on older ones."""
        return self.window + looked_back(self.max_bars)


def generate_signals(bars: pl.LazyFrame, config: BollingerConfig) -> pl.LazyFrame:
    """Add `signal`: 1 while a position from the lower band is held, 0 otherwise.

    With `shorts`, −1 while one from the upper band is; null until the bands are there.
    """
    bands = bollinger(CLOSE, config.window, config.k)
    noise = CLOSE * _TIE
    signal = _side(pl.col("low"), bands, noise, config, below=True).cast(pl.Int8)
    if config.shorts:
        signal = signal - _side(pl.col("high"), bands, noise, config, below=False).cast(pl.Int8)
    return bars.with_columns(signal=in_time_order(pl.when(bands["mid"].is_not_null()).then(signal)))


def _side(
    extreme: pl.Expr,
    bands: dict[str, pl.Expr],
    noise: pl.Expr,
    config: BollingerConfig,
    below: bool,
) -> pl.Expr:
    """Whether a position from the lower band (or from the upper one) is held."""
    sign = 1 if below else -1
    start, other = (bands[one] for one in (("lower", "upper") if below else ("upper", "lower")))
    beyond = (start - CLOSE) * sign > noise
    goal = bands["mid"] if config.exit == "middle" else other
    leave = (CLOSE - goal) * sign >= -noise
    match config.entry:
        case "touch":
            enter = ((start - extreme) * sign > noise) & ~leave
        case "break":
            enter = beyond
        case "reentry":
            enter = ~beyond & beyond.shift(1) & ~leave
    return held(fresh(enter, leave, config.max_bars), leave, config.max_bars)


BOLLINGER = Kind(BollingerConfig, generate_signals)
