"""Rules that stand between a decision and an order: each says why not, or nothing.

They fail closed: what cannot be judged is not done. Selling stays possible, except where the
data are so old that nobody knows a price; an order that waited knows its price, that of the bar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from cq.utils.trading_settings import Live

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a rule looks at: where the account stands and where a decision would take it.

    `target`, `held` and `gross` are fractions of equity: of the symbol as wanted, of the symbol
    as it is, and of all symbols together once the decision is carried out. `age_bars` says how
    many intervals ago the newest bar closed, for an order counted to the opening of the bar that
    fills it; `day_equity` is that of the day's start (UTC), or of the bar's where that is longer.
    """

    symbol: str
    target: float
    held: float
    gross: float
    equity: float
    day_equity: float
    age_bars: float

    @property
    def reduces(self) -> bool:
        """Carrying it out leaves a smaller position, or the same one."""
        return 0 <= self.target <= self.held

    @property
    def unreadable(self) -> str | None:
        """The first number that makes no sense, by name."""
        for name in ("target", "held", "gross", "equity", "day_equity", "age_bars"):
            value = getattr(self, name)
            if not math.isfinite(value):
                return f"{name} is {value}"
        return None if self.equity > 0 else f"equity is {self.equity:g}"


class Rule(Protocol):
    """A limit, and the reason it gives for saying no."""

    name: ClassVar[str]
    stops_selling: ClassVar[bool]

    def reason(self, prospect: Prospect) -> str | None:
        """Why this must not be done; None when it may."""
        ...


@dataclass(frozen=True, slots=True)
class StaleData:
    """The newest bar must have closed no longer ago than `bars` intervals."""

    bars: float
    name: ClassVar[str] = "stale_data"
    stops_selling: ClassVar[bool] = True

    def reason(self, prospect: Prospect) -> str | None:
        """Why the data are too old."""
        if prospect.age_bars <= self.bars:
            return None
        return (
            f"the newest bar closed {prospect.age_bars:.1f} intervals ago, "
            f"more than live.stale_after_bars ({self.bars:g})"
        )


@dataclass(frozen=True, slots=True)
class StaleOrder:
    """What waited is not bought once the market was silent for more than `bars` intervals."""

    bars: float
    name: ClassVar[str] = "stale_data"
    stops_selling: ClassVar[bool] = False

    def reason(self, prospect: Prospect) -> str | None:
        """Why the decision is too old to be bought on."""
        if prospect.age_bars <= self.bars:
            return None
        return (
            f"the bar to buy at opened {prospect.age_bars:.1f} intervals after the one before it "
            f"had closed, more than live.stale_after_bars ({self.bars:g})"
        )


@dataclass(frozen=True, slots=True)
class MaxPosition:
    """One symbol may take at most `limit` of the equity."""

    limit: float
    name: ClassVar[str] = "max_position"
    stops_selling: ClassVar[bool] = False

    def reason(self, prospect: Prospect) -> str | None:
        """Why the position would be too large."""
        if prospect.target <= self.limit + TOLERANCE:
            return None
        return (
            f"{prospect.target:.4g} of equity in {prospect.symbol} is beyond "
            f"live.max_position ({self.limit:g})"
        )


@dataclass(frozen=True, slots=True)
class MaxGrossExposure:
    """All symbols together may take at most `limit` of the equity."""

    limit: float
    name: ClassVar[str] = "max_gross_exposure"
    stops_selling: ClassVar[bool] = False

    def reason(self, prospect: Prospect) -> str | None:
        """Why the positions would be too large together."""
        if prospect.gross <= self.limit + TOLERANCE:
            return None
        return (
            f"{prospect.gross:.4g} of equity in all positions is beyond "
            f"live.max_gross_exposure ({self.limit:g})"
        )


@dataclass(frozen=True, slots=True)
class MaxDailyLoss:
    """Nothing is bought once the day (UTC) has cost `limit` of its opening equity."""

    limit: float
    name: ClassVar[str] = "max_daily_loss"
    stops_selling: ClassVar[bool] = False

    def reason(self, prospect: Prospect) -> str | None:
        """Why the day is over for buying."""
        if prospect.day_equity <= 0:
            return f"the day's opening equity is {prospect.day_equity:g}"
        loss = 1 - prospect.equity / prospect.day_equity
        if loss < self.limit - TOLERANCE:
            return None
        return (
            f"the day has lost {loss:.4g} of its opening equity, live.max_daily_loss is "
            f"{self.limit:g}; nothing is bought before 00:00 UTC"
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """Some rules judge decisions, some the orders that come of them."""

    of_decisions: tuple[Rule, ...] = ()
    of_orders: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, live: Live, *, replayed: bool = False) -> Rules:
        """The rules that the settings name; a limit of null is no rule.

        Stored bars that are `replayed` are never stale, however long nobody traded between them.
        """
        position, loss = MaxPosition(live.max_position), live.max_daily_loss
        daily = () if loss is None else (MaxDailyLoss(loss),)
        bars = live.stale_after_bars
        return cls(
            of_decisions=(*(() if replayed else (StaleData(bars),)), position, *daily),
            of_orders=(
                *(() if replayed else (StaleOrder(bars),)),
                position,
                MaxGrossExposure(live.max_gross_exposure),
            ),
        )


NO_RULES = Rules()


def limits(live: Live) -> dict[str, float | None]:
    """The limits that a replay obeys, where no data are ever stale."""
    return {
        "max_position": live.max_position,
        "max_gross_exposure": live.max_gross_exposure,
        "max_daily_loss": live.max_daily_loss,
    }


def verdict(rules: Sequence[Rule], prospect: Prospect) -> tuple[str, str] | None:
    """The first rule that says no, and its reason; None when all let it pass.

    A sale passes rules that do not stop selling, whatever they would say.
    """
    for rule in rules:
        if prospect.reduces and not rule.stops_selling:
            continue
        if (broken := prospect.unreadable) is not None:
            return rule.name, f"cannot be judged: {broken}"
        if (why := rule.reason(prospect)) is not None:
            return rule.name, why
    return None
