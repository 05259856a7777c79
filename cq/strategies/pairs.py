"""Trade the distance of two markets that move together: the dear one against the cheap one."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

import polars as pl
from pydantic import ConfigDict, Field, model_validator

from cq.indicators import CLOSE
from cq.indicators.windows import mean_of, products, squares
from cq.strategies.contract import Kind, StrategyConfig
from cq.strategies.holding import fresh, held, looked_back
from cq.utils.models import MANY_BARS

_FLAT = 1e-12
"""A residual whose variance is below this share of the price's own is rounding, not a spread."""


def _two_symbols(schema: dict[str, Any]) -> None:
    """What editors are told of a pair; `_makes_sense` says it in words."""
    schema["properties"]["symbols"] |= {"minItems": 2, "maxItems": 2}


class PairsConfig(StrategyConfig):
    """Long the first symbol, short the second while the spread is low; the reverse while high."""

    model_config = ConfigDict(json_schema_extra=_two_symbols)

    together: ClassVar[bool] = True

    kind: Literal["pairs"] = Field("pairs", description="which strategy")
    window: int = Field(480, gt=9, description="bars of the regression, and of the half-life")
    entry: float = Field(2.0, gt=0, description="opened as the z-score reaches so far out")
    exit: float = Field(0.0, ge=0, description="closed once the z-score is no further out")
    stop: float = Field(4.0, gt=0, description="given up when the z-score gets so far out")
    half_lives: float = Field(
        3.0, gt=0, description="given up after so many half-lives, as measured at the entry"
    )
    max_bars: int = Field(240, gt=1, le=MANY_BARS, description="the most bars a position lasts")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if len(self.symbols) != 2:
            raise ValueError(f"symbols: a pair has two, found {len(self.symbols)}")
        if self.symbols[0].partition("-")[0] == self.symbols[1] or (
            self.symbols[1].partition("-")[0] == self.symbols[0]
        ):
            raise ValueError("symbols: say both in full, as in [BTC-BRL, BTC-USDT]")
        if not self.exit < self.entry < self.stop:
            raise ValueError(
                f"entry ({self.entry:g}) has to lie between exit ({self.exit:g}) and stop "
                f"({self.stop:g})"
            )
        return self

    @property
    def warmup(self) -> int:
        """Bars, the current one included, after which a signal no longer depends on older ones."""
        return self.window + looked_back(self.max_bars)


def generate_signals(bars: pl.LazyFrame, config: PairsConfig) -> pl.LazyFrame:
    """Add `signal` (1 and −1 on the two legs, or 0) and `weight`, each leg's share of a position.

    Both are null until the regression is there, at a moment at which one of the two has no bar,
    and for any third symbol.
    """
    one, other = (_is(symbol) for symbol in config.symbols)
    moments = bars.group_by("ts").agg(
        __cq_y=CLOSE.filter(one).first().cast(pl.Float64).log(),
        __cq_x=CLOSE.filter(other).first().cast(pl.Float64).log(),
    )
    decided = _decided(moments.filter(pl.any_horizontal(pl.col(_YX).is_not_null())), config)
    leg = pl.when(one).then(1).when(other).then(-1)
    hedge = pl.col("__cq_hedge")
    share = pl.when(one).then(1.0).when(other).then(hedge) / (1.0 + hedge)
    return (
        bars.join(decided, on="ts", how="left", maintain_order="left")
        .with_columns(signal=(pl.col("__cq_side") * leg).cast(pl.Int8), weight=share)
        .drop("__cq_side", "__cq_hedge")
    )


_YX = ["__cq_y", "__cq_x"]


def _is(symbol: str) -> pl.Expr:
    """Whether a row is of `symbol`, in full or by its base."""
    name = pl.col("symbol")
    return name == symbol if "-" in symbol else name.str.starts_with(f"{symbol}-")


def _decided(moments: pl.LazyFrame, config: PairsConfig) -> pl.LazyFrame:
    """For each moment the side of the spread that is held, and the hedge ratio at its entry.

    Where one leg has no bar its last close counts, so that windows are of moments and the same for
    both; nothing is decided there.
    """
    both = pl.all_horizontal(pl.col(_YX).is_not_null())
    filled = moments.sort("ts").with_columns(
        pl.col("__cq_y", "__cq_x").forward_fill(), __cq_both=both
    )
    measured = filled.with_columns(**_regression(config.window)).with_columns(
        **_half_life(config.window)
    )
    low, high = (_side(sign, config) for sign in (1, -1))
    begun = measured.with_columns(
        __cq_low=fresh(*low, config.max_bars), __cq_high=fresh(*high, config.max_bars)
    )
    cap = (pl.col("half_life") * config.half_lives).ceil().clip(1, config.max_bars)
    is_low, is_high = (
        held(pl.col(begins), leave, config.max_bars, cap.cast(pl.Int64))
        for begins, (_, leave) in (("__cq_low", low), ("__cq_high", high))
    )
    begins = pl.col("__cq_low") | pl.col("__cq_high")
    # the ratio of the entry is kept while the position may last: its legs are then left alone
    hedge = pl.when(begins).then("beta").forward_fill(limit=config.max_bars - 1).fill_null(1.0)
    known = pl.col("__cq_both") & pl.col("z").is_not_null()
    return begun.select(
        "ts",
        __cq_side=pl.when(known).then(is_low.cast(pl.Int8) - is_high.cast(pl.Int8)),
        __cq_hedge=hedge,
    )


def _regression(window: int) -> dict[str, pl.Expr]:
    """`beta`, and `z`: the newest residual of the window's regression in its deviations."""
    y, x = pl.col("__cq_y"), pl.col("__cq_x")
    xx, yy, xy = squares(x, window), squares(y, window), products(y, x, window)
    beta = pl.when(xx > 0).then(xy / xx).otherwise(pl.when(xx == 0).then(0.0))
    left = yy - beta * xy
    residual = (y - mean_of(y, window)) - beta * (x - mean_of(x, window))
    spread = (left / (window - 2)).sqrt()
    z = pl.when(left > yy * _FLAT).then(residual / spread).when(left.is_not_null()).then(0.0)
    return {"beta": beta, "z": z}


def _half_life(window: int) -> dict[str, pl.Expr]:
    """`half_life` of the window's spread, with the window's own hedge ratio; null without one.

    The slope of the spread's change on the spread before, made of the moments of the two legs:
    the spread of older bars takes today's ratio, which no column of spreads could say.
    """
    y, x, beta = pl.col("__cq_y"), pl.col("__cq_x"), pl.col("beta")
    before_y, before_x, pairs = y.shift(1), x.shift(1), window - 1
    dy, dx = y - before_y, x - before_x
    moved = products(dy, before_y, pairs) + beta * beta * products(dx, before_x, pairs)
    moved = moved - beta * (products(dy, before_x, pairs) + products(dx, before_y, pairs))
    spread = squares(before_y, pairs) + beta * beta * squares(before_x, pairs)
    spread = spread - 2 * beta * products(before_y, before_x, pairs)
    slope = moved / spread
    reverting = (spread > squares(before_y, pairs) * _FLAT) & (slope < 0)
    halved = math.log(0.5) / (1 + slope.clip(lower_bound=-0.999)).log()
    return {"half_life": pl.when(reverting).then(halved)}


def _side(sign: int, config: PairsConfig) -> tuple[pl.Expr, pl.Expr]:
    """What begins and what ends a position in the spread: bought low (1) or sold high (−1)."""
    out = pl.col("z") * -sign
    crossed = (out >= config.entry) & (out.shift(1) < config.entry) & (out < config.stop)
    tied = (pl.col("beta") > 0) & pl.col("half_life").is_not_null() & pl.col("__cq_both")
    return crossed & tied, (out <= config.exit) | (out >= config.stop)


PAIRS = Kind(PairsConfig, generate_signals)
