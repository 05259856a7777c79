"""How much of the equity a signal is worth: small values, chosen by `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from cq.indicators import CLOSE, in_time_order, realised_volatility
from cq.utils.time import bars_per_year


class _Sizing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FixedFraction(_Sizing):
    """The same fraction of equity at every entry; then left alone until the signal changes."""

    kind: Literal["fixed_fraction"] = "fixed_fraction"
    fraction: float = Field(1.0, gt=0, le=1, description="of equity, a symbol")
    rebalance: float = Field(
        0.0, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    @property
    def warmup(self) -> int:
        """Bars that sizing looks back on, the current one included."""
        return 1

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """Fraction of equity to hold; null where the signal is."""
        del interval
        return signal.cast(pl.Float64) * self.fraction


class VolatilityTarget(_Sizing):
    """So much that the position moves by `annual_volatility` a year: less in wild markets."""

    kind: Literal["volatility_target"] = "volatility_target"
    annual_volatility: float = Field(
        0.4, gt=0, description="standard deviation wanted of the position's yearly return"
    )
    window: int = Field(168, ge=2, description="bars whose returns are measured")
    max_fraction: float = Field(1.0, gt=0, le=1, description="most of equity, a symbol")
    rebalance: float = Field(
        0.1, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    @property
    def warmup(self) -> int:
        """Bars that sizing looks back on, the current one included."""
        return self.window + 1

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """Fraction of equity to hold; null until the signal and the volatility are there.

        A market that did not move at all gets the cap.
        """
        measured = in_time_order(realised_volatility(CLOSE, self.window, bars_per_year(interval)))
        fraction = (self.annual_volatility / measured).clip(upper_bound=self.max_fraction)
        return signal.cast(pl.Float64) * fraction


class HedgeRatio(_Sizing):
    """Both legs of a pair, in the ratio in which their common moves cancel out."""

    kind: Literal["hedge_ratio"] = "hedge_ratio"
    gross: float = Field(1.0, gt=0, le=2, description="of equity, both legs together")
    rebalance: float = Field(
        0.0, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    @property
    def warmup(self) -> int:
        """Bars that sizing looks back on, the current one included."""
        return 1

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """Fraction of equity to hold of each leg, from the strategy's own column `weight`."""
        del interval
        return signal.cast(pl.Float64) * pl.col("weight") * self.gross


Sizing = Annotated[FixedFraction | VolatilityTarget | HedgeRatio, Field(discriminator="kind")]
