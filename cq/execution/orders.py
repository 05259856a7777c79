"""What happens to an order, as a table: (status, event) → status."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from cq.backtest import account
from cq.backtest.account import Side
from cq.errors import CqError


class Status(StrEnum):
    """Where an order is in its life."""

    NEW = "new"
    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


S = Status

FILLS: Final = {"part_filled": S.PARTIAL, "filled": S.FILLED}

NEXT: Final[dict[Status, dict[str, Status]]] = {
    S.NEW: {"accepted": S.OPEN, "rejected": S.REJECTED, "timed_out": S.UNKNOWN} | FILLS,
    S.UNKNOWN: {"accepted": S.OPEN, "rejected": S.REJECTED, "canceled": S.CANCELED} | FILLS,
    S.OPEN: {"canceled": S.CANCELED, "timed_out": S.UNKNOWN} | FILLS,  # our cancel timed out
    S.PARTIAL: {"canceled": S.CANCELED, "timed_out": S.UNKNOWN} | FILLS,
    S.CANCELED: {"part_filled": S.CANCELED, "filled": S.FILLED},  # it was on the wire already
    S.FILLED: {},
    S.REJECTED: {},
}

OVER: Final = (S.FILLED, S.CANCELED, S.REJECTED)
"""Statuses after which the exchange is not asked any more."""

EVENTS: Final = tuple(sorted({event for events in NEXT.values() for event in events}))


class IllegalTransition(CqError):
    """An event that cannot happen to an order in its present status."""

    def __init__(self, client_id: str, status: Status, event: str) -> None:
        self.client_id, self.status, self.event = client_id, status, event
        can = ", ".join(sorted(NEXT[status])) or "nothing more"
        super().__init__(f"order {client_id} is {status} and cannot be {event}; expected {can}")


@dataclass(frozen=True, slots=True)
class Order:
    """An order to the broker; money and quantity are exact decimals."""

    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    reference: Decimal
    target: float
    decided_ts: int
    fill_ts: int
    status: Status = Status.NEW

    def after(self, event: str) -> Order:
        """The order once `event` has happened to it; IllegalTransition where it cannot."""
        if event not in NEXT[self.status]:
            raise IllegalTransition(self.client_id, self.status, event)
        return replace(self, status=NEXT[self.status][event])

    def sized(self) -> account.Order:
        """The same order in the floats that the account computes with."""
        return account.Order(
            self.symbol, self.side, float(self.quantity), float(self.reference), self.target
        )


def exact(value: float) -> Decimal:
    """The decimal that prints like `value`; `float()` of it gives `value` back, to the bit."""
    return Decimal(repr(value))
