"""Symbols as Mercado Bitcoin writes them: `BTC-BRL` in REST v4, `BRLBTC` on the socket."""

from __future__ import annotations

import re
from typing import Final

from cq.errors import UsageError
from cq.utils.names import QUOTES, SYMBOL, symbol_meant

EXCHANGE: Final = "mercadobitcoin"
"""The exchange's code in the lake."""

_WIRE: Final = re.compile(r"[A-Z0-9]+")


def checked(symbol: str) -> str:
    """`symbol` itself; UsageError where the exchange would not read it as BASE-QUOTE."""
    if SYMBOL.fullmatch(symbol):
        return symbol
    near = symbol_meant(symbol)
    advice = f"; did you mean {near}?" if near else ""
    raise UsageError(
        f"{symbol!r} is not a symbol; expected BASE-QUOTE in upper case such as BTC-BRL{advice}"
    )


def to_wire(symbol: str) -> str:
    """The id of `symbol` on the socket: quote first, no dash."""
    base, _, quote = checked(symbol).partition("-")
    return quote + base


def from_wire(wire: str) -> str | None:
    """The symbol of an id on the socket; None where it begins with no known quote."""
    quote = next((one for one in QUOTES if wire.startswith(one)), "")
    return f"{wire[len(quote) :]}-{quote}" if quote and _WIRE.fullmatch(wire, len(quote)) else None
