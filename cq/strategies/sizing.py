"""How much of the equity a signal is worth: small values, chosen by `kind`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cq.indicators import CLOSE, in_time_order, realised_volatility
from cq.indicators.windows import mean_of, squares
from cq.utils.models import MANY_BARS, numbers_of
from cq.utils.time import bars_per_year

_CALMEST: Final = 1e-4
"""A market calmer than this a year counts as moving so much."""


Unit = Literal["fraction", "units", "notional"]


class _Sizing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    unit: ClassVar[Unit] = "fraction"
    """What targets are of: equity, the base currency, or the quote currency."""
    compares: ClassVar[bool] = False
    """Whether a target depends on the other symbols of its moment."""

    @model_validator(mode="before")
    @classmethod
    def _no_boolean(cls, value: Any) -> Any:
        """As in `PlainNumbers`, whose check of each field a `kind` that tells models apart bars."""
        for name in sorted(numbers_of(cls)) if isinstance(value, Mapping) else ():
            if isinstance(value.get(name), bool):
                raise ValueError(f"{name}: found {value[name]}, which should be a number")  # noqa: TRY004  # pydantic takes it for a problem
        return value

    @property
    def each(self) -> float | None:
        """What a signal of 1 is worth, where that is the same at every bar."""
        return None

    @property
    def warmup(self) -> int:
        """Bars that sizing looks back on, the current one included."""
        return 1

    def sized(self, bars: pl.LazyFrame, interval: str) -> pl.LazyFrame:
        """`bars` with `target`: what each signal is worth."""
        return bars.with_columns(target=self.target(pl.col("signal"), interval))

    @abstractmethod
    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """What a signal is worth, null where that is not known."""


class _Constant(_Sizing):
    """The same for a signal at any bar, its `each`."""

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """So much of the signal; null where it is."""
        del interval
        return signal.cast(pl.Float64) * self.each


class FixedFraction(_Constant):
    """The same fraction of equity at every entry; then left alone until the signal changes."""

    kind: Literal["fixed_fraction"] = "fixed_fraction"
    fraction: float = Field(1.0, gt=0, le=1, description="of equity, a symbol")
    rebalance: float = Field(
        0.0, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    @property
    def each(self) -> float:
        """Fraction of equity to hold."""
        return self.fraction


class FixedNotional(_Constant):
    """The same sum of money at every entry, whatever the account is worth."""

    kind: Literal["fixed_notional"] = "fixed_notional"
    unit: ClassVar[Unit] = "notional"
    notional: float = Field(gt=0, description="in quote currency, a symbol")
    rebalance: float = Field(
        0.0, ge=0, lt=1, description="trade again once the target moved by more than this share"
    )

    @property
    def each(self) -> float:
        """Quote currency to hold."""
        return self.notional


class Units(_Constant):
    """The same quantity at every entry."""

    kind: Literal["units"] = "units"
    unit: ClassVar[Unit] = "units"
    units: float = Field(gt=0, description="of the base currency, a symbol")
    rebalance: float = Field(
        0.0, ge=0, lt=1, description="trade again once the target moved by more than this share"
    )

    @property
    def each(self) -> float:
        """Quantity to hold."""
        return self.units


class VolatilityTarget(_Sizing):
    """So much that the position moves by `annual_volatility` a year: less in wild markets."""

    kind: Literal["volatility_target"] = "volatility_target"
    annual_volatility: float = Field(
        0.4, gt=0, description="standard deviation wanted of the position's yearly return"
    )
    window: int = Field(168, ge=2, le=MANY_BARS, description="bars whose returns are measured")
    max_fraction: float = Field(1.0, gt=0, le=1, description="most of equity, a symbol")
    min_fraction: float = Field(
        0.0, ge=0, le=1, description="least of equity where there is a signal, however wild"
    )
    rebalance: float = Field(
        0.1, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    @model_validator(mode="after")
    def _floor_below_cap(self) -> Self:
        if self.min_fraction > self.max_fraction:
            raise ValueError(
                f"min_fraction ({self.min_fraction:g}) lies above max_fraction "
                f"({self.max_fraction:g})"
            )
        return self

    @property
    def warmup(self) -> int:
        """Bars that sizing looks back on, the current one included."""
        return self.window + 1

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """Fraction of equity to hold; null until the signal and the volatility are there.

        A market that did not move at all gets the cap.
        """
        measured = in_time_order(realised_volatility(CLOSE, self.window, bars_per_year(interval)))
        fraction = (self.annual_volatility / measured).clip(self.min_fraction, self.max_fraction)
        return signal.cast(pl.Float64) * fraction


class HedgeRatio(_Sizing):
    """Both legs of a pair, in the ratio in which their common moves cancel out."""

    kind: Literal["hedge_ratio"] = "hedge_ratio"
    gross: float = Field(1.0, gt=0, le=2, description="of equity, both legs together")
    rebalance: float = Field(
        0.0, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """Fraction of equity to hold of each leg, from the strategy's own column `weight`."""
        del interval
        return signal.cast(pl.Float64) * pl.col("weight") * self.gross


class KellyFraction(_Sizing):
    """A share of what Kelly would bet on the market's own returns: mean / variance."""

    kind: Literal["kelly"] = "kelly"
    share: float = Field(0.5, gt=0, le=1, description="of Kelly's fraction; a half is usual")
    window: int = Field(720, ge=2, le=MANY_BARS, description="bars whose returns are measured")
    max_fraction: float = Field(1.0, gt=0, le=1, description="most of equity, a symbol")
    rebalance: float = Field(
        0.1, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    @property
    def warmup(self) -> int:
        """Bars that sizing looks back on, the current one included."""
        return self.window + 1

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """Fraction of equity to hold; 0 where the returns speak against the signal.

        Returns that are all the same and speak for it get the cap.
        """
        del interval
        moved = CLOSE / CLOSE.shift(1) - 1
        mean, variance = (
            mean_of(moved, self.window),
            squares(moved, self.window) / (self.window - 1),
        )
        kelly = (
            pl.when(variance != 0)
            .then(mean * self.share / variance)
            .when(variance == 0)
            .then(mean.sign() * self.max_fraction)
        )
        side = signal.cast(pl.Float64)
        return side * (side * in_time_order(kelly)).clip(0.0, self.max_fraction)


_INVERSE = "__cq_inverse"


class InverseVolatility(_Sizing):
    """Each symbol so much that all move their part alike: in proportion to 1 / volatility."""

    kind: Literal["inverse_volatility"] = "inverse_volatility"
    compares: ClassVar[bool] = True
    fraction: float = Field(1.0, gt=0, le=1, description="of equity, all symbols together")
    window: int = Field(168, ge=2, le=MANY_BARS, description="bars whose returns are measured")
    rebalance: float = Field(
        0.1, ge=0, lt=1, description="trade again once the target moved by more than this"
    )

    @property
    def warmup(self) -> int:
        """Bars that sizing looks back on, the current one included."""
        return self.window + 1

    def sized(self, bars: pl.LazyFrame, interval: str) -> pl.LazyFrame:
        """`bars` with `target`: what each signal is worth."""
        measured = realised_volatility(CLOSE, self.window, bars_per_year(interval))
        floor = measured.clip(lower_bound=_CALMEST)
        bars = bars.with_columns(in_time_order(1.0 / floor).alias(_INVERSE))
        return super().sized(bars, interval).drop(_INVERSE)

    def target(self, signal: pl.Expr, interval: str) -> pl.Expr:
        """Fraction of equity to hold, of the symbols that have a bar at the moment.

        Made of one over the volatility of each: the symbols of a moment come in any order.
        """
        from cq.lake.resample import exact_sum  # other sizings work without a lake

        del interval
        all_of_them = exact_sum(pl.col(_INVERSE)).over("ts")
        return signal.cast(pl.Float64) * pl.col(_INVERSE) / all_of_them * self.fraction


Sizing = Annotated[
    FixedFraction
    | FixedNotional
    | Units
    | VolatilityTarget
    | HedgeRatio
    | KellyFraction
    | InverseVolatility,
    Field(discriminator="kind"),
]
