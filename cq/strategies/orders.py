"""How a decision is sent, and what guards the position that it opens: the `orders:` of a file."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

import polars as pl
from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from cq.indicators import atr, in_time_order
from cq.utils.models import MANY_BARS, PlainNumbers

FORGOTTEN: Final = 22
"""Wilder's mean has forgotten its start (to 1e-9) after this many times its window."""


GAIN: Final = 10
"""A target lies no further above the entry than so many times it."""


def _below(most: int) -> WithJsonSchema:
    """What editors are told of a fraction; `_makes_sense` says it in words."""
    return WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": most})


Share = Annotated[float, _below(1)]
Gain = Annotated[float, _below(GAIN)]


class _Part(PlainNumbers):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Atr(_Part):
    """A distance: so many average true ranges of the deciding bar."""

    atr: float = Field(gt=0, description="how many average true ranges")
    window: int = Field(14, ge=1, description="bars in the average true range")

    @property
    def warmup(self) -> int:
        """Bars that it looks back on, the current one included."""
        return FORGOTTEN * self.window

    def column(self) -> pl.Expr:
        """The distance at each bar."""
        return in_time_order(atr("high", "low", "close", self.window)) * self.atr


class Column(_Part):
    """A price that the strategy says at each bar, in a column of its frame."""

    column: str = Field(description="the column of the strategy's frame that holds the price")


class OrdersConfig(_Part):
    """Entries at market, by limit or by stop; exits by stop, target, trailing stop or age."""

    entry: Literal["market", "limit", "stop", "stop_limit"] = Field(
        "market", description="how a position is opened or enlarged; whatever reduces it is market"
    )
    offset: Share | Atr | Column | None = Field(
        None,
        description="limit: how far below the deciding close a buy waits; stop, stop_limit: how "
        "far above it one fires (the other way round for shorts); a fraction, {atr, window} or "
        "{column}",
    )
    limit_offset: float = Field(
        0.0, ge=0, lt=1, description="stop_limit: how far beyond its trigger the limit lies"
    )
    expires_bars: int = Field(
        0,
        ge=0,
        le=MANY_BARS,
        description="an entry that waited so many bars is cancelled; 0 = never",
    )
    stop_loss: Share | Atr | Column | None = Field(
        None, description="below the entry; a fraction, {atr, window} or {column: a price}"
    )
    take_profit: Gain | Atr | Column | None = Field(
        None, description="above the entry; a fraction, {atr, window} or {column: a price}"
    )
    trailing_stop: Share | Atr | None = Field(
        None, description="below the best price since the entry; a fraction or {atr, window}"
    )
    max_bars: int = Field(
        0, ge=0, le=MANY_BARS, description="a position is closed after so many closes; 0 = never"
    )
    cooldown_bars: int = Field(
        0,
        ge=0,
        le=MANY_BARS,
        description="after a position closed, no entry is decided at so many closes",
    )
    reentry: Literal["signal", "now"] = Field(
        "signal",
        description="after an exit that no signal asked for: wait for a new signal, or follow the "
        "old one at once",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.entry == "market") != (self.offset is None):
            need = "takes no offset" if self.entry == "market" else "needs an offset"
            raise ValueError(f"entry: {self.entry} {need}")
        if self.limit_offset and self.entry != "stop_limit":
            raise ValueError(f"limit_offset: entry {self.entry} has no limit beyond a trigger")
        if self.expires_bars and self.entry == "market":
            raise ValueError("expires_bars: a market order does not wait")
        for name in ("offset", "stop_loss", "take_profit", "trailing_stop"):
            value = getattr(self, name)
            most = GAIN if name == "take_profit" else 1
            if isinstance(value, float) and not 0 < value < most:
                raise ValueError(
                    f"{name}: found {value:g}, expected a fraction above 0, below {most}"
                )
        return self

    @property
    def within_bars(self) -> bool:
        """Whether highs and lows matter."""
        return bool(self._parts())

    @property
    def asked(self) -> tuple[str, ...]:
        """The columns of the strategy's frame that hold prices of orders."""
        return tuple(one.column for one in self._parts().values() if isinstance(one, Column))

    @property
    def warmup(self) -> int:
        """Bars that prices of orders look back on, the current one included."""
        return max([1, *(one.warmup for one in self._parts().values() if isinstance(one, Atr))])

    def columns(self) -> dict[str, pl.Expr]:
        """What each bar says of an order's prices, by the engine's names for them."""
        return {
            f"order_{name}": one.column() if isinstance(one, Atr) else pl.col(one.column)
            for name, one in self._parts().items()
            if not isinstance(one, float)
        }

    @property
    def ranges(self) -> tuple[str, ...]:
        """Those of `columns` that are average true ranges: null until there are bars enough."""
        return tuple(f"order_{name}" for name, one in self._parts().items() if isinstance(one, Atr))

    def levels(self) -> dict[str, tuple[Literal["share", "distance", "price"], float | None]]:
        """Each price that is said: of what kind, and its value where it is the same at all bars."""
        found: dict[str, tuple[Literal["share", "distance", "price"], float | None]] = {}
        for name, one in self._parts().items():
            if isinstance(one, float):
                found[name] = ("share", one)
            else:
                found[name] = ("distance" if isinstance(one, Atr) else "price", None)
        if self.entry == "stop_limit":
            found["limit"] = ("share", self.limit_offset)
        return found

    def _parts(self) -> dict[str, Any]:
        entry = "limit" if self.entry == "limit" else "trigger"
        parts = {
            entry: self.offset,
            "stop": self.stop_loss,
            "take": self.take_profit,
            "trail": self.trailing_stop,
        }
        return {name: one for name, one in parts.items() if one is not None}


MARKET_ORDERS: Final = OrdersConfig()
