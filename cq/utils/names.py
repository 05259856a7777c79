"""Words for people: what a name that is none may mean, and a number with its thing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

QUOTES: Final = ("BRL", "USDT", "USDC", "BTC", "ETH")
"""What symbols are quoted in, as far as one without a dash can be told apart."""

SYMBOL: Final = re.compile(r"[A-Z0-9]+-[A-Z0-9]+")


FEW: Final = 20
"""So many names can be listed in one line."""


def nearest(name: object, known: Iterable[str]) -> str:
    """What was probably meant, or else what there is: all, or the nearest of many."""
    names = list(known)
    if near := get_close_matches(str(name), names, n=1):
        return f"did you mean {near[0]}?"
    if len(names) <= FEW:
        return f"there is {', '.join(names)}"
    return f"the nearest are {', '.join(get_close_matches(str(name), names, n=3, cutoff=0))}"


def among(name: object, known: Iterable[str]) -> str:
    """Everything that there is, and what was probably meant."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1)
    return f"there is {', '.join(names)}" + (f"; did you mean {near[0]}?" if near else "")


def is_text(name: str) -> bool:
    """Whether it can be written as UTF-8; names from the system may hold bytes that cannot."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def symbol_meant(name: str, quote: str = "BRL") -> str | None:
    """`btc-brl`, `BTC/BRL`, `BTCBRL` and `btc` (in `quote`) are all BTC-BRL; None where unclear."""
    found = re.sub(r"[/_ ]", "-", name.strip().upper())
    if SYMBOL.fullmatch(found):
        return found
    if not re.fullmatch(r"[A-Z0-9]+", found):
        return None
    for one in (quote, *QUOTES):
        if found.endswith(one) and found != one:
            return f"{found.removesuffix(one)}-{one}"
    return f"{found}-{quote}"


def in_full(name: str, quote: str) -> str:
    """`BTC` (in `quote`) is BTC-BRL; what is more than a base stays."""
    return f"{name}-{quote}" if name.isalnum() else name


def markets_of(name: str, quote: str, known: Collection[str]) -> list[str]:
    """The markets among `known` that `name` may mean; none, or one, but of a base alone several.

    A base alone (`BTC`) means the one in `quote`, and where that is not known any other of it.
    """
    for one in (in_full(name, quote), name):
        if one in known:
            return [one]
    return sorted(one for one in known if one.partition("-")[0] == name)


def counted(count: int, one: str, many: str) -> str:
    """`1 book`, `2,000 books`."""
    return f"{count:,} {one if count == 1 else many}"
