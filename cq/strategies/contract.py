"""What a strategy is: a frozen configuration and two pure functions from frame to frame."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import polars as pl
from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from cq.errors import StrategyError, UsageError
from cq.strategies.liquidity import Liquidity
from cq.strategies.orders import MARKET_ORDERS, OrdersConfig
from cq.strategies.sizing import FixedFraction, Sizing
from cq.utils.models import PlainNumbers
from cq.utils.time import interval_ns

if TYPE_CHECKING:
    from cq.features import Feature, Pipeline
    from cq.features.gate import Gate, GateConfig
    from cq.strategies.own import OwnCode
    from cq.utils.trading_settings import Backtest

OWN = "own"
"""The kind of a strategy that its user wrote in a Python file."""


class StrategyConfig(PlainNumbers, ABC):
    """What every strategy says; each kind adds its own parameters and says its `warmup`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    together: ClassVar[bool] = False
    """Whether the symbols are legs of one position: what stops or ends one does so to all."""
    acts: ClassVar[bool] = False
    """Whether the frame has a column `act`: true where a target is acted on although it stayed."""

    same_rows: ClassVar[bool] = False
    """Whether its indicators look at the bars as they are, symbol by symbol, so that trials with
    other parameters may share them."""

    given: ClassVar[bool] = False
    """Whether the bars themselves bring the targets, in a column of their own."""

    own_features: ClassVar[Mapping[str, Feature]] = MappingProxyType({})
    """Features that its Python file lists, by name."""

    name: str = Field("", description="in results and logs; the file's name by default")
    kind: str = Field(OWN, description="which strategy")
    symbols: tuple[str, ...] = Field(
        description="BASE-QUOTE, or BASE alone for the configured quote"
    )
    exchange: str | None = Field(
        None, description="whose bars; needed only where the lake has a symbol from several"
    )
    interval: str = Field(description="length of a bar: 1m, 15m, 1h, 1d, …")
    sizing: Sizing = Field(FixedFraction(), description="how much of the equity a signal is worth")
    liquidity: Liquidity | None = Field(
        None, description="no position in a market that trades too little"
    )
    orders: OrdersConfig = Field(
        MARKET_ORDERS, description="how decisions are sent, and stops: see docs/engine.md"
    )
    features: dict[str, Any] = Field(
        {},
        description="columns beside the bars: NAME: {use: rsi, window: 14}; see `cq indicators`",
        json_schema_extra={"additionalProperties": {"type": "object", "required": ["use"]}},
    )
    gate: dict[str, Any] | None = Field(
        None, description="a classifier that lets signals through: see docs/features.md"
    )
    backtest: dict[str, Any] = Field(
        {}, description="settings of `backtest:` in configs/default.yaml that differ here"
    )
    python: str | None = Field(None, description="your own strategy: a Python file beside this one")

    @field_validator("symbols", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value or ()
        if not isinstance(parts, (list, tuple)):
            return value
        return tuple(one.strip().upper() if isinstance(one, str) else one for one in parts)

    @field_validator("symbols")
    @classmethod
    def _symbol_form(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if not symbols:
            raise ValueError("names no symbol; expected a list such as [BTC, ETH]")
        for symbol in symbols:
            if not re.fullmatch(r"[A-Z0-9]+(-[A-Z0-9]+)?", symbol):
                raise ValueError(f"{symbol!r} is not a symbol; expected BTC-BRL, or BTC alone")
        if twice := [one for one in symbols if symbols.count(one) > 1]:
            raise ValueError(f"{twice[0]} stands there twice")
        return symbols

    @field_validator("gate")
    @classmethod
    def _gate_is_found_from_anywhere(cls, gate: dict[str, Any] | None) -> dict[str, Any] | None:
        """A saved gate is named in full, so that a run can be made again from another folder."""
        if gate is None or not isinstance(gate.get("trained"), (str, Path)):
            return gate
        return gate | {"trained": str(Path(gate["trained"]).expanduser().resolve())}

    @field_validator("sizing", mode="before")
    @classmethod
    def _fraction_is_usual(cls, value: Any) -> Any:
        """`fraction: 0.5` alone is of a fixed fraction."""
        usual = isinstance(value, Mapping) and set(value) <= set(FixedFraction.model_fields)
        return {"kind": "fixed_fraction", **value} if usual else value

    @field_validator("interval")
    @classmethod
    def _known_interval(cls, interval: str) -> str:
        try:
            interval_ns(interval)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return interval

    @model_validator(mode="after")
    def _features_make_sense(self) -> Self:
        try:
            columns: tuple[str, ...] = ()
            if self.features:
                _ = self.pipeline.warmup  # asked now, so that what never settles is refused
                columns = self.pipeline.columns
            gate = self.gate_config
        except UsageError as error:
            raise ValueError(str(error)) from None
        if gate is not None and not columns:
            raise ValueError("gate: it needs features to look at; name some under `features`")
        for name in gate.inputs if gate else ():
            if name not in columns:
                raise ValueError(
                    f"gate.inputs: {name!r} is no feature; there is {', '.join(columns)}"
                )
        return self

    @model_validator(mode="after")
    def _legs_have_shares(self) -> Self:
        if self.sizing.kind == "hedge_ratio" and self.kind not in ("pairs", OWN):
            raise ValueError(f"sizing.kind: hedge_ratio is for pairs, not for a {self.kind}")
        return self

    @cached_property
    def gate_config(self) -> GateConfig | None:
        """How the gate is trained; None without one."""
        if self.gate is None:
            return None
        from cq.features.gate import GateConfig

        try:
            return GateConfig.model_validate(self.gate)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in ("gate", *first["loc"]))
            raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None

    @cached_property
    def pipeline(self) -> Pipeline:
        """The features, ready to be added to bars."""
        from cq.features import Pipeline  # a strategy without features starts without them

        return Pipeline.of(self.features, self.interval, self.own_features)

    @property
    def reads_all(self) -> bool:
        """Whether columns of the bars other than open and close are read."""
        return False

    @property
    @abstractmethod
    def warmup(self) -> int:
        """Bars, the current one included, after which a signal no longer depends on older ones."""


Frame = pl.LazyFrame
Step = Callable[[Frame, Any], Frame]


def by_sizing(bars: Frame, config: StrategyConfig) -> Frame:
    """Add `target`: what `config.sizing` makes of each signal."""
    return config.sizing.sized(bars, config.interval)


class Kind(NamedTuple):
    """A registered strategy: its configuration and its functions."""

    config: type[StrategyConfig]
    generate_signals: Step
    size_positions: Step = by_sizing


@dataclass(frozen=True)
class Strategy:
    """A strategy ready to run: one configuration, the functions of its kind."""

    config: StrategyConfig
    generate_signals: Step
    size_positions: Step = by_sizing
    where: Callable[[tuple[str, ...]], str] = field(
        default=lambda keys: "strategy: " + ".".join(keys), compare=False
    )
    code: OwnCode | None = None
    gate: Gate | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """What results and logs call it."""
        return self.config.name or self.config.kind

    @property
    def warmup(self) -> int:
        """Bars, the current one included, after which the last row of a window is settled.

        It then equals the last row over all history.
        """
        below = self.config.pipeline.warmup if self.config.features else 1
        config = self.config
        own = max(self._own_warmup(), config.sizing.warmup, config.orders.warmup)
        own = max(own, config.liquidity.warmup if config.liquidity else 1)
        return own + below - 1

    @property
    def compares(self) -> int:
        """How many times features compare the symbols of one moment on the way to a target."""
        return self.config.pipeline.compares if self.config.features else 0

    @property
    def compared(self) -> bool:
        """Whether a target depends on the other symbols of its moment: by features, or its size."""
        return self.compares > 0 or self.config.sizing.compares

    def looks_back(self, warmup: int | Literal["auto"]) -> int:
        """Older bars that a target follows from; `warmup` is that of the settings."""
        return (self.warmup if warmup == "auto" else warmup) - 1

    def reads_back(self, warmup: int | Literal["auto"]) -> int:
        """Bars before a period that a run reads, so that its first bar is decided as any other.

        A gate that is trained on the way takes more than targets look back on: what the model
        learns from that decides the oldest bar of the warm-up.
        """
        settled = self.looks_back(warmup)
        gate = self.config.gate_config
        if gate is None or gate.trained is not None:
            return settled
        return 2 * settled + gate.train_bars + gate.every_bars

    @property
    def same_rows(self) -> bool:
        """Whether nothing but `config.same_rows` indicators stands between bars and targets."""
        config = self.config
        return config.same_rows and not (self.code or config.features or config.gate)

    @property
    def each(self) -> float | None:
        """What a target is of its signal, where that is known to be the same at every bar."""
        sized = self.same_rows and self.size_positions is by_sizing
        return self.config.sizing.each if sized else None

    @property
    def reads_all(self) -> bool:
        """Whether it may read any column of the bars: a user's own code, features, order prices."""
        config = self.config
        own = self.code is not None or config.reads_all or config.liquidity is not None
        return own or bool(config.features) or bool(config.orders.columns())

    @property
    def looks_at_prices(self) -> bool:
        """Whether sizes, ranges or liquidity of its file are measured on its frame."""
        config = self.config
        by_prices = self.size_positions is by_sizing and config.sizing.each is None
        return by_prices or bool(config.orders.ranges) or config.liquidity is not None

    def _own_warmup(self) -> int:
        if self.code is None:
            return self.config.warmup
        try:
            bars = self.config.warmup
        except (Exception, SystemExit) as error:
            raise StrategyError(
                str(self.code), f"warmup fails: {type(error).__name__}: {error}"
            ) from error
        if isinstance(bars, bool) or not isinstance(bars, int) or bars < 1:
            raise StrategyError(
                str(self.code), f"warmup is {bars!r}; expected a number of bars, 1 or more"
            )
        return bars

    @property
    def rebalance(self) -> float:
        """How far a target must move before a position is traded again."""
        return self.config.sizing.rebalance

    def backtest(self, settings: Backtest) -> Backtest:
        """`settings` with what the strategy file says otherwise; StrategyError where it errs."""
        if not self.config.backtest:
            return settings
        merged = _merged(settings.model_dump(), self.config.backtest)
        try:
            found = type(settings).model_validate(merged)
        except ValidationError as error:
            from cq.strategies.problems import one_line

            raise one_line(error, self.where, merged, type(settings), ("backtest",)) from None
        if unread := found.slippage.unread(self.config.backtest.get("slippage", ())):
            keys = ("backtest", "slippage", unread[0])
            place, dotted = self.where(keys), ".".join(keys)
            named = place.endswith(f" {dotted}")
            raise StrategyError(place, unread[1] if named else f"{dotted}: {unread[1]}")
        return found


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        nested = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(inner, value) if nested else value  # type: ignore[arg-type]
    return merged


def wanted(config: type[StrategyConfig], where: str) -> None:
    """StrategyError when a user's own configuration does not say its warm-up."""
    if "warmup" in config.model_fields:
        raise StrategyError(
            where,
            "Config has `warmup` among its parameters; expected a property, or a constant as in "
            "`warmup: ClassVar[int] = 30`",
        )
    if config.warmup is StrategyConfig.warmup:
        raise StrategyError(
            where, "Config needs a property `warmup`: how many bars a signal looks back on"
        )
