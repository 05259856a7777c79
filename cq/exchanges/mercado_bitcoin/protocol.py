"""What is said on a socket, and when: time and bytes in, frames to send out; no socket, no clock.

Times are of a clock that only goes forward, in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cq.errors import UsageError
from cq.exchanges.feed import BOOKS, TICKERS, TRADES
from cq.exchanges.mercado_bitcoin.symbols import to_wire

WIRE: Final = {TRADES: "trade", BOOKS: "orderbook", TICKERS: "ticker"}
"""The exchange's names of channels; its documents also say `trades`, which it refuses."""

DEPTHS: Final = (10, 20, 50, 100, 200)
"""Levels a side that a book can be subscribed with."""

PING: Final = '{"type":"ping"}'


@dataclass(frozen=True)
class Subscription:
    """One channel of one market; `depth` is of books alone."""

    channel: str
    symbol: str
    depth: int | None = None

    def frame(self, kind: str = "subscribe") -> str:
        """The text that subscribes, or with `unsubscribe` that ends it."""
        said: dict[str, Any] = {"name": WIRE[self.channel], "id": to_wire(self.symbol)}
        if self.channel == BOOKS:
            said["limit"] = self.depth
        return json.dumps({"type": kind, "subscription": said}, separators=(",", ":"))


def sockets(
    symbols: Sequence[str], channels: Iterable[str], depth: int
) -> list[tuple[Subscription, ...]]:
    """What is subscribed on which socket.

    Trades have one of their own, so that no flood of books delays them. Books have another: the
    last limit sent on a socket applies to all its books.
    """
    if depth not in DEPTHS:
        known = ", ".join(map(str, DEPTHS))
        raise UsageError(f"a depth of {depth} is not streamed; expected one of {known}")
    return [
        tuple(Subscription(channel, one, depth if channel == BOOKS else None) for one in symbols)
        for channel in dict.fromkeys(channels)
    ]


@dataclass
class Conversation:
    """One connection, from its opening to its end."""

    subscriptions: Sequence[Subscription]
    ping_every_s: float
    stale_after_s: float
    delivered: bool = False
    _heard_s: float = field(default=0.0, init=False)
    _ping_s: float = field(default=0.0, init=False)

    def open(self, now_s: float) -> list[str]:
        """What to send first: one subscription a frame."""
        self._heard_s, self._ping_s = now_s, now_s + self.ping_every_s
        return [one.frame() for one in self.subscriptions]

    def heard(self, now_s: float, frames: Sequence[bytes] = ()) -> None:
        """Something arrived, if only a pong; data are what shows that the connection is of use."""
        self._heard_s = now_s
        if not self.delivered:
            self.delivered = any(b'"data":' in one[:120] for one in frames)

    def due(self, now_s: float) -> list[str]:
        """What to send now."""
        if now_s < self._ping_s:
            return []
        self._ping_s = now_s + self.ping_every_s
        return [PING]

    def is_stale(self, now_s: float) -> bool:
        """Whether nothing at all has come for too long, not even a pong."""
        return now_s - self._heard_s >= self.stale_after_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until there is something to do, if nothing arrives."""
        return max(0.0, min(self._ping_s, self._heard_s + self.stale_after_s) - now_s)

    def renewed(self, symbol: str) -> list[str]:
        """What subscribes `symbol` again; the first of it is never answered."""
        again = [one for one in self.subscriptions if one.symbol == symbol]
        return [one.frame(kind) for one in again for kind in ("unsubscribe", "subscribe")]
