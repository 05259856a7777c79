"""What a trade costs, as one small value: fee, slippage, lots and the limits of an order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cq.utils.settings import Backtest

Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class Costs:
    """The rules of the market that a fill obeys; fractions, quote currency and decimals."""

    taker: float = 0.0
    minimum_fee: float = 0.0
    slippage_bps: float = 0.0
    quantity_decimals: int | None = None
    min_notional: float = 0.0
    max_gross_exposure: float = 1.0

    @classmethod
    def of(cls, backtest: Backtest) -> Costs:
        """The costs that the settings of a backtest name."""
        return cls(
            taker=backtest.fees.taker,
            minimum_fee=backtest.fees.minimum,
            slippage_bps=backtest.slippage.bps,
            quantity_decimals=backtest.quantity_decimals,
            min_notional=backtest.min_notional,
            max_gross_exposure=backtest.max_gross_exposure,
        )

    def price(self, side: Side, reference: float) -> float:
        """The price paid: the reference moved against the trader by the slippage."""
        against = self.slippage_bps / 10_000
        return reference * (1 + against if side == "buy" else 1 - against)

    def fee(self, qty: float, price: float) -> float:
        """The taker's fee, or the minimum where that is more."""
        return max(self.taker * qty * price, self.minimum_fee)

    def payable(self, cash: float, price: float) -> float:
        """The largest quantity that `cash` pays at `price`, its fee included; may be negative."""
        return min(cash / (price * (1 + self.taker)), (cash - self.minimum_fee) / price)

    def cut(self, qty: float) -> float:
        """`qty` cut (never rounded up) to the lot's decimals."""
        if self.quantity_decimals is None:
            return qty
        scale = 10.0**self.quantity_decimals
        return math.floor(qty * scale) / scale

    def tidy(self, position: float) -> float:
        """A position without the dust of binary arithmetic: rounded to the lot's decimals."""
        if self.quantity_decimals is None:
            return position
        scale = 10.0**self.quantity_decimals
        return round(position * scale) / scale
