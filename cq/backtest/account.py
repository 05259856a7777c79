"""The account: what intents become, given cash, positions and costs.

Pure arithmetic on floats, as paper trading needs it: an object for each thing that happens. A
backtest does the same to numbers (`cq.backtest.events`, `kernel`), by the same functions, so that
both make the same trades from the same bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cq.backtest.arithmetic import FRACTION, allowed, desired
from cq.backtest.costs import Costs, Side

__all__ = [
    "Account",
    "Costs",
    "Fill",
    "Intent",
    "Order",
    "Side",
    "filled",
    "in_order",
    "sized",
]


class Intent(NamedTuple):
    """A decision: from `decided_ts` on, hold `target` (a fraction of equity) of `symbol`."""

    symbol: str
    target: float
    decided_ts: int


class Order(NamedTuple):
    """A quantity to trade around `reference`, before slippage."""

    symbol: str
    side: Side
    qty: float
    reference: float
    target: float


class Fill(NamedTuple):
    """A trade that happened; `slippage` is what the price cost against the reference, in quote.

    `reason` is what made it: a signal, a stop (`stop_loss`, `trailing_stop`), `take_profit`, or
    the end of its time (`max_bars`). `at_close` says that it was made at a bar's end.
    """

    ts: int
    symbol: str
    side: Side
    qty: float
    price: float
    fee: float
    slippage: float
    reason: str = "signal"
    at_close: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Cash and long positions; a change is a new account."""

    cash: float
    positions: Mapping[str, float] = field(default_factory=dict)

    def held(self, symbol: str) -> float:
        """The quantity of `symbol`, 0 when there is none."""
        return self.positions.get(symbol, 0.0)

    def equity(self, marks: Mapping[str, float]) -> float:
        """Cash plus every position at its mark, added in the order of the symbols' names."""
        worth = 0.0
        for symbol in sorted(self.positions):
            worth += self.positions[symbol] * marks[symbol]
        return self.cash + worth

    def after(self, fill: Fill, costs: Costs) -> Account:
        """The account once `fill` is settled; a buy leaves no cash below zero."""
        value = fill.qty * fill.price
        if fill.side == "buy":
            cash = max(self.cash - (value + fill.fee), 0.0)
            position = costs.tidy(self.held(fill.symbol) + fill.qty)
        else:
            cash = self.cash + (value - fill.fee)
            position = costs.tidy(self.held(fill.symbol) - fill.qty)
        others = {name: qty for name, qty in self.positions.items() if name != fill.symbol}
        return Account(cash, others | ({fill.symbol: position} if position else {}))


def in_order(
    intents: Iterable[Intent],
    account: Account,
    equity: float,
    references: Mapping[str, float],
) -> list[Intent]:
    """Sells by name, then buys from the largest target down (ties by name): cash comes first."""

    def place(intent: Intent) -> tuple[bool, float, str]:
        desired = intent.target * equity / references[intent.symbol]
        if desired < account.held(intent.symbol):
            return False, 0.0, intent.symbol
        return True, -intent.target, intent.symbol

    return sorted(intents, key=place)


def sized(
    intent: Intent,
    account: Account,
    equity: float,
    reference: float,
    marks: Mapping[str, float],
    costs: Costs,
) -> Order | None:
    """The order that takes the position to its target, or None when nothing is to be sent.

    `equity` is that of the moment before the first order of the group; `marks` price the other
    positions for the cap on gross exposure. A target of 0 sells everything, uncut.
    """
    held, whole = account.held(intent.symbol), intent.target == 0
    wanted = desired(intent.target, FRACTION, equity, reference, 0.0)
    delta = -held if whole else wanted - held
    side: Side = "buy" if delta > 0 else "sell"
    others = 0.0
    for symbol in sorted(account.positions):
        if symbol != intent.symbol:
            others += abs(account.positions[symbol]) * marks[symbol]
    signed = allowed(
        delta, whole, held, account.cash, equity, others, reference, costs.price(side, reference),
        costs.taker, costs.minimum_fee, costs.scale, costs.max_gross_exposure, costs.min_notional,
    )  # fmt: skip
    if signed == 0:
        return None
    return Order(intent.symbol, side, abs(signed), reference, intent.target)


def filled(order: Order, ts: int, costs: Costs, *, at_close: bool = False) -> Fill:
    """The fill of `order` at `ts`: slippage against the trader, fee on the price paid."""
    price = costs.price(order.side, order.reference)
    return Fill(
        ts=ts,
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        price=price,
        fee=costs.fee(order.qty, price),
        slippage=abs(price - order.reference) * order.qty,
        at_close=at_close,
    )
