"""Trading fees by the volume of 30 days, as the exchange's fee page gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from cq.utils.time import DAY, HOUR

WINDOW_NS: Final = 30 * DAY
REFRESH_NS: Final = 5 * HOUR
"""Tiers are set anew each day at 02:00 in Brasilia, which is 05:00 UTC."""
FIAT: Final = "BRL"


@dataclass(frozen=True)
class Rates:
    """Fees as fractions: 0.007 is 0.7 %."""

    maker: Decimal
    taker: Decimal

    def of(self, liquidity: str) -> Decimal:
        """The rate of a `maker` or a `taker`."""
        return self.maker if liquidity == "maker" else self.taker


def _tier(up_to: str, maker: str, taker: str) -> tuple[Decimal, Rates]:
    """A row of the fee page, which is in percent."""
    return Decimal(up_to), Rates(Decimal(maker).scaleb(-2), Decimal(taker).scaleb(-2))


TIERS: Final = (
    _tier("10e3", "0.30", "0.70"),
    _tier("50e3", "0.27", "0.70"),
    _tier("100e3", "0.24", "0.70"),
    _tier("200e3", "0.21", "0.70"),
    _tier("500e3", "0.18", "0.70"),
    _tier("1e6", "0.15", "0.60"),
    _tier("5e6", "0.12", "0.60"),
    _tier("10e6", "0.09", "0.60"),
    _tier("20e6", "0.07", "0.50"),
    _tier("50e6", "0.05", "0.45"),
    _tier("100e6", "0.03", "0.40"),
    _tier("200e6", "0.02", "0.30"),
    _tier("Infinity", "0.015", "0.25"),
)
"""30-day volume in BRL up to and with which a row holds."""
FREE: Final = Rates(Decimal(0), Decimal(0))


def tier_of(volume: Decimal) -> int:
    """The number of the tier, the first is 1."""
    return next(number for number, (up_to, _) in enumerate(TIERS, 1) if volume <= up_to)


def rates_of(tier: int, quote: str) -> Rates:
    """What a tier pays on a market; coin against coin is free."""
    return TIERS[tier - 1][1] if quote == FIAT else FREE


def next_refresh_ns(now_ns: int) -> int:
    """When tiers are set anew, after now."""
    return (now_ns - REFRESH_NS) // DAY * DAY + DAY + REFRESH_NS


@dataclass
class Volume:
    """What an account has traded in BRL, from which its tier follows once a day."""

    tier: int = 1
    _traded: list[tuple[int, Decimal]] = field(default_factory=list)

    def add(self, ts_ns: int, value: Decimal) -> None:
        """Note a fill."""
        self._traded.append((ts_ns, value))

    def refresh(self, now_ns: int) -> None:
        """Forget what is older than 30 days; set the tier."""
        self._traded = [one for one in self._traded if one[0] > now_ns - WINDOW_NS]
        self.tier = tier_of(sum((value for _, value in self._traded), Decimal(0)))
