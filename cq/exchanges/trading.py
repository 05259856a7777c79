"""What an exchange must offer to be traded on; everything outside its own folder knows only this.

Money is Decimal here, from the decision to the wire and back. Whoever wants an order gives it an id
of their own, by which it is found again where nobody knows whether it arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, Protocol, TypeAlias, get_args

from cq.errors import UsageError

Side: TypeAlias = Literal["buy", "sell"]
Kind: TypeAlias = Literal["market", "limit", "post_only", "stop_limit"]
Status: TypeAlias = Literal["new", "open", "partial", "filled", "canceled", "rejected"]
"""The words of the lake's `orders`; `unknown` is missing, since no exchange says it."""

PRICES: Final[dict[str, tuple[str, ...]]] = {
    "market": (),
    "limit": ("price",),
    "post_only": ("price",),
    "stop_limit": ("price", "stop_price"),
}
"""Kind → the prices that an order of it has, all of them and no other."""


@dataclass(frozen=True)
class OrderRequest:
    """An order as it is asked for; UsageError where its parts do not go together.

    `quantity` is of the base asset. A market buy may say instead how much of the quote to spend:
    its `cost`.
    """

    client_id: str
    symbol: str
    side: Side
    kind: Kind
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    cost: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.client_id:
            self._refuse("needs a client_id, by which it can be found again")
        if self.side not in get_args(Side) or self.kind not in PRICES:
            self._refuse(f"expected buy or sell, and one of {', '.join(PRICES)}")
        for name in ("quantity", "price", "stop_price", "cost"):
            self._check(name, getattr(self, name))
        given = tuple(name for name in ("price", "stop_price") if getattr(self, name) is not None)
        if given != PRICES[self.kind]:
            needs, has = (" and ".join(one) or "no price" for one in (PRICES[self.kind], given))
            self._refuse(f"needs {needs}, has {has}")
        if (self.quantity is None) == (self.cost is None):
            self._refuse("needs either quantity or cost")
        if self.cost is not None and (self.kind, self.side) != ("market", "buy"):
            self._refuse("has a cost, which only a market buy may say")

    def _check(self, name: str, amount: object) -> None:
        if amount is None:
            return
        if not isinstance(amount, Decimal):
            self._refuse(f"has {name} {amount!r}; expected a Decimal, such as Decimal('0.001')")
        elif not amount.is_finite() or amount <= 0:
            self._refuse(f"has {name} {amount}; expected more than 0")

    def _refuse(self, problem: str) -> None:
        order = f"order {self.client_id or '?'} ({self.kind} {self.side} of {self.symbol})"
        raise UsageError(f"{order} {problem}")


@dataclass(frozen=True)
class Placed:
    """The exchange has taken an order; what becomes of it, `order` tells."""

    order_id: str
    client_id: str


@dataclass(frozen=True)
class Execution:
    """One part of an order that was filled; `fee_rate` is a fraction of it."""

    id: str
    ts: int
    price: Decimal
    quantity: Decimal
    fee_rate: Decimal | None = None
    liquidity: Literal["maker", "taker"] | None = None


@dataclass(frozen=True)
class OrderReport:
    """What the exchange says of an order; None where it says nothing, stamps in nanoseconds.

    `executions` are None where it has not listed them, as lists of many orders may not.
    """

    order_id: str
    client_id: str | None
    symbol: str
    side: Side
    kind: Kind
    status: Status
    quantity: Decimal | None
    filled: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    cost: Decimal | None = None
    average_price: Decimal | None = None
    fee: Decimal | None = None
    fee_asset: str | None = None
    created_ns: int | None = None
    updated_ns: int | None = None
    executions: tuple[Execution, ...] | None = None


@dataclass(frozen=True)
class Cancel:
    """The answer to a cancel; an order that is not `done` may still be filled before it ends."""

    order_id: str
    symbol: str
    done: bool


class Trading(Protocol):
    """The trading side of an account of one exchange.

    A call that was sent and not answered raises OutcomeUnknown and is not sent again; Refused is
    the exchange's no, in its own words.
    """

    @property
    def name(self) -> str:
        """The exchange's code in the lake."""
        ...

    def place(self, account: str, request: OrderRequest) -> Placed:
        """Send an order, once. After OutcomeUnknown, `order_of` says whether it is there."""
        ...

    def cancel(self, account: str, symbol: str, order_id: str) -> Cancel:
        """End an order; one that has ended already is Refused."""
        ...

    def cancel_all(self, account: str, symbol: str | None = None) -> Sequence[Cancel]:
        """End every open order: of `symbol`, or of all markets."""
        ...

    def order(self, account: str, symbol: str, order_id: str) -> OrderReport:
        """One order with its executions, whatever became of it."""
        ...

    def order_of(
        self, account: str, symbol: str, client_id: str, since_ns: int
    ) -> OrderReport | None:
        """The order that was sent under `client_id` at `since_ns` or later; None: there is none."""
        ...

    def open_orders(self, account: str, symbol: str | None = None) -> Sequence[OrderReport]:
        """The orders that may still be filled: of `symbol`, or of all markets."""
        ...
