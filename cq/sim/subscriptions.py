"""What a client says on a socket, and what the exchange replies; no socket in here."""

from __future__ import annotations

import json
from typing import Any, Final

from cq.sim.books import STEP_NS
from cq.sim.tape import Tape

BOOK_LIMITS: Final = (10, 20, 50, 100, 200)
CHANNELS: Final = ("ticker", "orderbook", "trade")
Reply = dict[str, Any]


class Subscriptions:
    """What one socket wants to hear, and how far it has been told."""

    def __init__(self, tape: Tape, *, one_book_limit: bool) -> None:
        self.tape, self.one_book_limit = tape, one_book_limit
        self.trades: dict[str, int] = {}  # symbol → last trade id
        self.tickers: dict[str, int] = {}  # symbol → last trade id of the last ticker
        self.books: dict[str, tuple[int, int]] = {}  # symbol → what the last book was made of
        self._limits: dict[str, int] = {}
        self._last_limit = BOOK_LIMITS[0]

    @property
    def symbols(self) -> set[str]:
        """All that anything was asked for of."""
        return {*self.trades, *self.tickers, *self.books}

    def limit(self, symbol: str) -> int:
        """Levels of a book: what was said last on the socket, not what was acknowledged."""
        return self._last_limit if self.one_book_limit else self._limits[symbol]

    def told(self, text: str | bytes, now_ns: int) -> Reply | None:
        """The reply to one client frame; None where the exchange says nothing."""
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            return _error(_invalid(text, error))
        kind = said.get("type") if isinstance(said, dict) else None
        if kind == "ping":
            return {"type": "pong"}
        if kind not in ("subscribe", "unsubscribe"):
            return _error("unknown message type")
        wish = said.get("subscription")
        wish = wish if isinstance(wish, dict) else {}
        if kind == "subscribe":
            return self._subscribe(wish, now_ns)
        self._unsubscribe(wish)
        return None

    def _subscribe(self, wish: dict[str, Any], now_ns: int) -> Reply:
        name, wire, limit = wish.get("name"), wish.get("id"), wish.get("limit")
        if name not in CHANNELS:
            return _error("unknown subscription name")
        if name == "orderbook" and limit not in BOOK_LIMITS:
            return _error("for orderbook, {limit} must be 10, 20, 50, 100, 200")
        listing = self.tape.by_wire(wire) if isinstance(wire, str) else None
        if listing is None:
            return _error("invalid pair to subscribe")
        symbol = listing.symbol
        if symbol in self._told_of(name):
            return _error("already subscribed")
        ack = {"id": wire, "name": name}
        if name == "orderbook":
            self.books[symbol] = book_state(self.tape, symbol, now_ns)
            self._last_limit = self._limits[symbol] = int(limit or 0)
            return ack | {"limit": limit}
        told = self.trades if name == "trade" else self.tickers
        told[symbol] = self.tape.last_tid(symbol, now_ns)  # no snapshot: only what comes from now
        return ack

    def _unsubscribe(self, wish: dict[str, Any]) -> None:
        """Without a reply, whether or not there was anything to end."""
        listing = self.tape.by_wire(str(wish.get("id")))
        if listing is not None and wish.get("name") in CHANNELS:
            self._told_of(wish["name"]).pop(listing.symbol, None)

    def _told_of(self, name: str) -> dict[str, Any]:
        told: dict[str, dict[str, Any]] = {
            "trade": self.trades,
            "orderbook": self.books,
            "ticker": self.tickers,
        }
        return told[name]


def book_state(tape: Tape, symbol: str, now_ns: int) -> tuple[int, int]:
    """What a book is made of: the same twice is the same book; 0 first where there is none."""
    return tape.last_tid(symbol, now_ns), now_ns // STEP_NS


def _error(message: str) -> Reply:
    return {"type": "error", "message": message}


def _invalid(text: str | bytes, error: Exception) -> str:
    """What the exchange's JSON reader says."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    place = getattr(error, "pos", 0)
    if place >= len(said.rstrip()):
        return "unexpected end of JSON input"
    return f"invalid character {said[place]!r} looking for beginning of value"
