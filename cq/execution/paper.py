"""The paper broker: every order is filled at once, at the backtest's own price and fee."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cq.backtest.account import Costs, Fill, filled
from cq.execution.orders import Order


@dataclass(frozen=True, slots=True)
class Report:
    """What the broker says became of an order: the event, and the fill if it was filled."""

    event: str
    fill: Fill | None = None


class Broker(Protocol):
    """Whoever carries out orders; asked twice for the same client id, it trades once."""

    def submit(self, order: Order) -> Report:
        """Carry out `order`, or say what became of it the first time."""
        ...


@dataclass(frozen=True, slots=True)
class PaperBroker:
    """Fills at the order's reference, moved by the slippage, for the taker's fee.

    The answer follows from the order alone, so an order that was on its way in a crash is simply
    sent again and gets the answer it would have got.
    """

    costs: Costs

    def submit(self, order: Order) -> Report:
        """The whole quantity, at the filling bar's time."""
        return Report("filled", filled(order.sized(), order.fill_ts, self.costs.at(order.fill_ts)))
