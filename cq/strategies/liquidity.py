"""Where a market trades too little, no signal: a filter that any strategy may ask for."""

from __future__ import annotations

import polars as pl
from pydantic import ConfigDict, Field

from cq.indicators import CLOSE, in_time_order, sma
from cq.utils.models import PlainNumbers

_LIQUID = "__cq_liquid"


class Liquidity(PlainNumbers):
    """How much a market has to trade for a position in it to be held."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    min_turnover: float = Field(
        0.0, ge=0, description="quote currency traded a bar, close × volume, the window's mean"
    )
    min_active: float = Field(
        0.0, ge=0, le=1, description="least share of the window's bars in which anybody traded"
    )
    window: int = Field(168, gt=0, description="bars that are looked at")

    @property
    def warmup(self) -> int:
        """Bars that the filter looks back on, the current one included."""
        return self.window

    def filtered(self, signals: pl.LazyFrame, *, together: bool) -> pl.LazyFrame:
        """`signal` where the market is liquid, 0 where it is not, null until that is known.

        With `together`, one market at fault stops all that have a bar at the moment.
        """
        turnover = sma(CLOSE * pl.col("volume"), self.window) >= self.min_turnover
        active = sma((pl.col("volume") > 0).cast(pl.Float64), self.window) >= self.min_active
        liquid = pl.col(_LIQUID)
        if together:
            whole = pl.col("signal").is_not_null()  # a market that is no leg has no say
            known = ((liquid.is_not_null() | ~whole).min()).over("ts")
            liquid = pl.when(known).then((liquid.fill_null(True) | ~whole).min().over("ts"))
        passed = pl.when(liquid).then("signal").when(~liquid & pl.col("signal").is_not_null())
        return (
            signals.with_columns(in_time_order(turnover & active).alias(_LIQUID))
            .with_columns(signal=passed.then(pl.lit(0)).cast(pl.Int8))
            .drop(_LIQUID)
        )
