"""Orders of the simulated exchange: what they are, their life as a table, their ids."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Literal

from cq.sim.money import ZERO, Rounding, rounded

Side = Literal["buy", "sell"]
Type = Literal["market", "limit", "stoplimit", "post-only"]
Liquidity = Literal["maker", "taker"]


class Status(StrEnum):
    """What the wire says of an order; there is no separate partial or rejected state."""

    CREATED = "created"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"


NEXT: Final[dict[Status, dict[str, Status]]] = {
    Status.CREATED: {"processed": Status.WORKING},
    Status.WORKING: {
        "part_filled": Status.WORKING,
        "filled": Status.FILLED,
        "cancelled": Status.CANCELLED,
    },
    Status.FILLED: {},
    Status.CANCELLED: {},
}
"""Status → event → next status; an event that is not there cannot happen."""


@dataclass(frozen=True)
class Ask:
    """A request to place an order, its types already checked."""

    side: str
    type: str
    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    cost: Decimal | None = None
    external_id: str | None = None
    asynchronous: bool = False


@dataclass(frozen=True)
class Execution:
    """One fill. `value` is quote, `fee` is base of a buy and quote of a sale."""

    id: str
    price: Decimal
    qty: Decimal
    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    liquidity: Liquidity
    ts_ns: int


@dataclass(frozen=True)
class Order:
    """One order; a change is a new value."""

    id: str
    number: int
    account: str
    symbol: str
    ask: Ask
    created_ns: int
    updated_ns: int
    qty: Decimal = ZERO
    status: Status = Status.CREATED
    held: Decimal = ZERO
    """What it keeps on hold: quote of a buy, base of a sale."""
    waits: bool = False
    """A stop order whose stop price was not reached yet."""
    ahead: Decimal = ZERO
    """Size that rests before it at its price."""
    cancelling: bool = False
    executions: tuple[Execution, ...] = ()
    filled: Decimal = ZERO
    worth: Decimal = field(default=Decimal(0))
    """Price × size of all fills, not rounded."""
    owed: Decimal = field(default=Decimal(0))
    """Fees of all fills, not rounded."""

    @property
    def buys(self) -> bool:
        """Whether it buys."""
        return self.ask.side == "buy"

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return bool(NEXT[self.status])

    @property
    def left(self) -> Decimal:
        """Size that is still to be traded."""
        return self.qty - self.filled

    @property
    def limit(self) -> Decimal | None:
        """The worst price it takes; None for a market order."""
        return None if self.ask.type == "market" else self.ask.limit_price

    @property
    def fee(self) -> Decimal:
        """All fees so far."""
        return sum((one.fee for one in self.executions), ZERO)

    @property
    def average(self) -> Decimal:
        """Mean price of its fills; 0 without any."""
        return rounded(self.worth / self.filled, "half_even") if self.filled else ZERO

    def after(self, event: str, now_ns: int) -> Order:
        """The order once `event` has happened; a KeyError where it cannot happen."""
        return replace(self, status=NEXT[self.status][event], updated_ns=now_ns)

    def value_of(self, price: Decimal, qty: Decimal) -> Decimal:
        """Quote that a fill moves: all fills together are rounded once, against the order.

        So an order in a thousand parts pays what it pays in one.
        """
        how: Rounding = "up" if self.buys else "down"
        return rounded(self.worth + price * qty, how) - rounded(self.worth, how)

    def fee_of(self, received: Decimal, rate: Decimal, how: Rounding) -> Decimal:
        """Fee of a fill, rounded in the same manner: over the whole order, once."""
        return rounded(self.owed + received * rate, how) - rounded(self.owed, how)

    def need(self) -> Decimal:
        """What it must keep on hold for the rest, at its limit."""
        if not self.buys:
            return self.left
        limit = self.ask.limit_price
        return ZERO if limit is None else self.value_of(limit, self.left)

    def with_fill(self, fill: Execution) -> Order:
        """The order with one more fill; its hold is the engine's business."""
        received = fill.qty if self.buys else fill.value
        filled = self.filled + fill.qty
        event = "filled" if filled == self.qty else "part_filled"
        return replace(
            self.after(event, fill.ts_ns),
            executions=(*self.executions, fill),
            filled=filled,
            worth=self.worth + fill.price * fill.qty,
            owed=self.owed + received * fill.fee_rate,
        )


ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FIRST_NUMBER: Final = 1_470_000_000
"""Where the platform's numeric ids begin; recorded ones lie a little above."""


@dataclass
class Ids:
    """Order ids that rise with time: a ULID, and the platform's number; the same for a seed."""

    seed: int = 0
    number: int = FIRST_NUMBER
    _last: int = 0

    def next(self, now_ns: int) -> tuple[str, int]:
        """A new pair."""
        self.number += 1
        digest = blake2b(f"{self.seed} {self.number}".encode(), digest_size=10).digest()
        made = (now_ns // 1_000_000) << 80 | int.from_bytes(digest)
        self._last = made if made > self._last else self._last + 1
        return ulid(self._last), self.number


def ulid(value: int) -> str:
    """The 26 letters of a 128-bit number."""
    return "".join(ALPHABET[value >> 5 * place & 31] for place in range(25, -1, -1))
