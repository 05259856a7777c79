"""What a trade costs, as one small value: fees, slippage, lots and the limits of an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cq.backtest import arithmetic
from cq.utils.time import parse_time

if TYPE_CHECKING:
    from cq.utils.trading_settings import Backtest

Side = Literal["buy", "sell"]


class Rates(NamedTuple):
    """Fees from a moment on."""

    since_ts: int
    taker: float
    maker: float
    minimum: float


class Costs(NamedTuple):
    """The rules of the market that a fill obeys; fractions, quote currency and decimals.

    `half_ticks` is half a spread in ticks, `participation` the largest part of a bar's volume that
    is ours, `impact` the price's move for one bar's mean volume, in deviations of a bar's return.
    """

    taker: float = 0.0
    minimum_fee: float = 0.0
    slippage_bps: float = 0.0
    quantity_decimals: int | None = None
    min_notional: float = 0.0
    max_gross_exposure: float = 1.0
    maker: float | None = None
    tick: float | None = None
    half_ticks: float | None = None
    participation: float | None = None
    impact: float | None = None
    impact_window: int | None = None
    dated: tuple[Rates, ...] | None = None

    @classmethod
    def of(cls, backtest: Backtest) -> Costs:
        """The costs that the settings of a backtest name."""
        fees, slippage = backtest.fees, backtest.slippage
        spread, square = slippage.kind == "half_spread", slippage.kind == "square_root"
        dated = tuple(
            Rates(
                parse_time(one.since), one.taker, one.maker,
                fees.minimum if one.minimum is None else one.minimum,
            )
            for one in fees.dated
        )  # fmt: skip
        return cls(
            taker=fees.taker,
            minimum_fee=fees.minimum,
            slippage_bps=slippage.spread_bps / 2 if spread else slippage.bps,
            quantity_decimals=backtest.quantity_decimals,
            min_notional=backtest.min_notional,
            max_gross_exposure=backtest.max_gross_exposure,
            maker=fees.maker,
            tick=backtest.tick,
            half_ticks=slippage.spread_ticks / 2 if spread and slippage.spread_ticks else None,
            participation=slippage.participation if slippage.by_volume else None,
            impact=slippage.impact if square else None,
            impact_window=slippage.window if square else None,
            dated=dated or None,
        )

    @classmethod
    def said(cls, values: Mapping[str, Any]) -> Costs:
        """The costs that JSON kept."""
        dated = values.get("dated")
        return cls(**{**values, "dated": dated and tuple(Rates(*one) for one in dated)})

    def at(self, ts: int) -> Costs:
        """The costs of a fill at `ts`: with the fees of that day."""
        if self.dated is None:
            return self
        found = [one for one in self.dated if one.since_ts <= ts]
        if not found:
            return self
        _, taker, maker, minimum = found[-1]
        return self._replace(taker=taker, maker=maker, minimum_fee=minimum)

    @property
    def scale(self) -> float:
        """Lots a unit; 0 where quantities are not cut."""
        return 0.0 if self.quantity_decimals is None else 10.0**self.quantity_decimals

    def price(self, side: Side, reference: float) -> float:
        """The price paid: the reference moved against the trader by the slippage, on the tick."""
        half, tick = self.half_ticks or 0.0, self.tick or 0.0
        move = self.slippage_bps / 10_000
        return arithmetic.priced(side == "buy", reference, 0.0, move, half, tick, 0.0)

    def fee(self, qty: float, price: float) -> float:
        """The taker's fee, or the minimum where that is more."""
        return arithmetic.fee_of(qty, price, self.taker, self.minimum_fee)

    def payable(self, cash: float, price: float) -> float:
        """The largest quantity that `cash` pays at `price`, its fee included; may be negative."""
        return arithmetic.payable(cash, price, self.taker, self.minimum_fee)

    def cut(self, qty: float) -> float:
        """`qty` cut to the lot's decimals; what lies a hair below a lot is that lot."""
        return arithmetic.cut(qty, self.scale)

    def tidy(self, position: float) -> float:
        """A position without the dust of binary arithmetic: rounded to the lot's decimals."""
        return arithmetic.tidied(position, self.scale)
