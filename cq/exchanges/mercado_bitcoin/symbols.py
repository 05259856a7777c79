"""Symbols as Mercado Bitcoin writes them: `BTC-BRL` in REST v4."""

from __future__ import annotations

import re
from typing import Final

from cq.errors import UsageError

EXCHANGE: Final = "mercadobitcoin"
"""The exchange's code in the lake."""

_FORM: Final = re.compile(r"[A-Z0-9]+-[A-Z0-9]+")


def checked(symbol: str) -> str:
    """`symbol` itself; UsageError where the exchange would not read it as BASE-QUOTE."""
    if _FORM.fullmatch(symbol):
        return symbol
    near = symbol.upper().replace("/", "-").replace("_", "-")
    advice = f"; did you mean {near}?" if _FORM.fullmatch(near) else ""
    raise UsageError(
        f"{symbol!r} is not a symbol; expected BASE-QUOTE in upper case such as BTC-BRL{advice}"
    )
