"""The settings of trading, simulated and live; what each means stands in configs/default.yaml."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from cq.errors import UsageError
from cq.utils.models import MANY_BARS, FilePath, Frozen
from cq.utils.time import interval_ns, parse_time

MUCH = 1e15
"""A sum of money is no larger: cents of more are no longer counted."""


class FeesSince(Frozen):
    """Other fees from a day on."""

    since: str = Field(description="first day, UTC, such as 2025-01-31")
    taker: float = Field(ge=0, lt=1)
    maker: float = Field(ge=0, lt=1)
    minimum: float | None = Field(
        None, ge=0, le=MUCH, description="null: that of the fees before any day"
    )

    @field_validator("since", mode="before")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        """YAML makes a date of what looks like one."""
        said = value.isoformat() if isinstance(value, date) else value
        if isinstance(said, str):
            try:
                parse_time(said)
            except UsageError as error:
                raise ValueError(str(error)) from None
        return said


class Fees(Frozen):
    """What the exchange takes, as fractions of the traded notional."""

    taker: float = Field(ge=0, lt=1)
    maker: float = Field(ge=0, lt=1)
    minimum: float = Field(ge=0, le=MUCH)
    dated: tuple[FeesSince, ...] = ()

    @field_validator("dated")
    @classmethod
    def _one_after_the_other(cls, dated: tuple[FeesSince, ...]) -> tuple[FeesSince, ...]:
        days = [parse_time(one.since) for one in dated]
        if days != sorted(set(days)):
            raise ValueError("dated: days must come one after the other, the oldest first")
        return dated


LOOKED_AT: Final = {
    "fixed_bps": ("bps",),
    "half_spread": ("spread_bps", "spread_ticks"),
    "participation": ("bps", "participation"),
    "square_root": ("bps", "participation", "impact", "window"),
}
"""What each kind of slippage looks at."""


class Slippage(Frozen):
    """How far a fill is from the bar's price, and how much of a bar's volume is to be had."""

    kind: Literal["fixed_bps", "half_spread", "participation", "square_root"]
    bps: float = Field(0.0, ge=0, lt=10_000)
    spread_bps: float = Field(0.0, ge=0, lt=10_000)
    spread_ticks: float = Field(0.0, ge=0)
    participation: float = Field(0.1, gt=0, le=1)
    impact: float = Field(1.0, ge=0)
    window: int = Field(24, ge=2, le=MANY_BARS)

    @property
    def by_volume(self) -> bool:
        """Whether a bar's volume limits what is filled there."""
        return self.kind in ("participation", "square_root")

    def unread(self, said: Collection[str]) -> tuple[str, str] | None:
        """One of the keys that were said which this kind does not look at, and the problem.

        Who lists every key, as configs/default.yaml does, asks for none of them.
        """
        if set(said) >= set(LOOKED_AT["square_root"] + LOOKED_AT["half_spread"]):
            return None
        for name in said:
            kinds = [kind for kind, keys in LOOKED_AT.items() if name in keys]
            if kinds and self.kind not in kinds:
                return name, (
                    f"slippage of the kind {self.kind} does not look at it; expected "
                    f"{', '.join(LOOKED_AT[self.kind])}, or kind: {' or '.join(kinds)}"
                )
        return None


class Caps(Frozen):
    """The largest position and the largest sum of positions, as fractions of equity."""

    max_position: float = Field(gt=0)
    max_gross_exposure: float = Field(gt=0)

    @model_validator(mode="after")
    def _position_within_gross(self) -> Caps:
        if self.max_position > self.max_gross_exposure:
            raise ValueError(
                f"max_position ({self.max_position:g}) must not exceed "
                f"max_gross_exposure ({self.max_gross_exposure:g})"
            )
        return self


class Backtest(Caps):
    """How a simulated account trades."""

    cash: float = Field(gt=0, le=MUCH)
    fill: Literal["next_open", "next_close"]
    fees: Fees
    slippage: Slippage
    latency_bars: int = Field(0, ge=0, le=1_000)
    quantity_decimals: int | None = Field(ge=0, le=12)
    tick: float | None = Field(None, gt=0)
    min_notional: float = Field(ge=0)
    allow_short: bool = False
    borrow_rate: float = Field(0.0, ge=0)
    detail_interval: str | None = None
    profile: Literal["vectorbt", "backtesting_py", "freqtrade"] | None = None
    warmup: int | Literal["auto"]
    seed: int

    @field_validator("warmup")
    @classmethod
    def _warmup_is_a_count(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("warmup must be a number of bars above 0, or auto")
        return value

    @model_validator(mode="after")
    def _ticks_need_a_tick(self) -> Backtest:
        if self.slippage.kind == "half_spread" and self.slippage.spread_ticks and not self.tick:
            raise ValueError("slippage.spread_ticks needs `tick`, the step of a price")
        return self

    @model_validator(mode="after")
    def _shorts_are_borrowed(self) -> Backtest:
        if self.borrow_rate and not self.allow_short:
            raise ValueError("borrow_rate: nothing is borrowed without allow_short")
        return self

    @field_validator("detail_interval")
    @classmethod
    def _known_interval(cls, interval: str | None) -> str | None:
        if interval is not None:
            try:
                interval_ns(interval)
            except UsageError as error:
                raise ValueError(f"detail_interval: {error}") from None
        return interval


class Live(Caps):
    """How the live loop trades, and when it must not."""

    poll_interval_seconds: float = Field(gt=0)
    stale_after_bars: float = Field(gt=0)
    max_daily_loss: float | None = Field(gt=0, le=1)
    price_band_bps: float = Field(gt=0)
    journal: FilePath
