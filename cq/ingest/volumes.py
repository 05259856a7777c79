"""Which of a table's columns is its volume: the lake's is in the base, never in money."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from unicodedata import normalize

from cq.errors import UnknownLayout
from cq.ingest.symbols import BASES, FIAT, QUOTES


class Kind(IntEnum):
    """What a column's name says of its volume, from what is taken first to what never is."""

    BASE = 0
    COIN = 1
    QUANTITY = 2
    PLAIN = 3
    STRANGER = 4
    MONEY = 5


@dataclass(frozen=True)
class Volume:
    """A column of volume, and the currency that its name says, if any."""

    column: str
    kind: Kind
    currency: str = ""


_SIGNS = {"r$": " brl ", "us$": " usd ", "$": " usd ", "€": " eur ", "£": " gbp ", "₿": " btc "}
_VOLUME = {"volume", "vol", "v"}
_QUANTITY = {"quantity", "qty", "quantidade", "qtd", "qtde"}
_FILLING = {"total", "traded", "negociado", "negociada", "asset", "coin", "in", "em"}
_BASE = {"base", "from"}
_MONEY = {
    "quote", "to", "counter", "currency", "money", "cash", "fiat", "notional", "turnover", "value",
    "financeiro", "financeira", "dinheiro", "valor", "reais",
}  # fmt: skip
_ALIASES = {"XBT": "BTC"}


def volumes(names: Iterable[str], market: str | None = None) -> list[Volume]:
    """The columns that hold a volume, the one to take first; those in money come last.

    Of a known `market` a currency in a name is the base or it is money. Of an unknown one states'
    money is money, and of two others the one that is less often a quote is the base: `Volume BTC`
    before `Volume USDT`.
    """
    found = (_volume(name, *(market.split("-") if market else ())) for name in names)
    return sorted((one for one in found if one), key=lambda one: (one.kind, _as_quote(one)))


def taken(path: Path, names: Iterable[str], market: str | None) -> Volume | None:
    """The volume in the base, None where there is none at all; UnknownLayout for money only."""
    found = volumes(names, market)
    if found and found[0].kind is Kind.MONEY:
        raise _in_money(path, [one.column for one in found], market and market.split("-")[0])
    return found[0] if found else None


def hold_against(path: Path, column: str, currency: str, symbols: Iterable[str | None]) -> None:
    """Refuse a volume in a `currency` that is not the base of all `symbols` beside it."""
    bases = {symbol.split("-")[0] for symbol in symbols if symbol and "-" in symbol}
    others = sorted(base for base in bases if _named(base) != currency)
    if currency and others:
        raise _in_money(path, [column], others[0])


def _in_money(path: Path, columns: list[str], base: str | None) -> UnknownLayout:
    named = " and ".join(columns)
    return UnknownLayout(
        path,
        f"has its volume as {named}, and the lake's is in {base or 'the base, not in money'}; "
        f"say which column holds {base or 'that'} in a --mapping FILE, or add one (money by price)",
    )


def _volume(name: str, base: str = "", quote: str = "") -> Volume | None:
    words = _words(name)
    if not words & (_VOLUME | _QUANTITY):
        return None
    rest = words - _VOLUME - _QUANTITY - _FILLING
    if rest & _MONEY and not rest & _BASE:
        return Volume(name, Kind.MONEY)
    if not rest:
        return Volume(name, Kind.PLAIN if words & _VOLUME else Kind.QUANTITY)
    currencies = {_named(word) for word in rest - _BASE - _MONEY}
    if not currencies:
        return Volume(name, Kind.BASE)
    if len(currencies) > 1:
        return None  # an average, or takers' part of it
    currency = currencies.pop()
    return Volume(name, _kind(currency, _named(base), _named(quote)), currency)


def _kind(currency: str, base: str, quote: str) -> Kind:
    if currency == base:
        return Kind.BASE
    known = currency in QUOTES | BASES or currency == quote
    if currency in FIAT or (base and known):
        return Kind.MONEY
    return Kind.COIN if known else Kind.STRANGER


def _named(currency: str) -> str:
    return _ALIASES.get(currency.upper(), currency.upper())


def _as_quote(one: Volume) -> int:
    """How often a currency is what others are paid with: 0 for one that never is."""
    if one.currency not in QUOTES:
        return 0
    rising = ("BNB", "ETH", "BTC")
    return rising.index(one.currency) + 1 if one.currency in rising else len(rising) + 1


def _words(name: str) -> set[str]:
    """The words of a column's name in bare letters: `baseVolume`, `Volume (R$)`, `volumefrom`."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    text = normalize("NFKD", text.replace("volume", " volume ").replace("basevol", "base vol"))
    bare = "".join(letter for letter in text if not "\u0300" <= letter <= "\u036f")
    return set(re.findall(r"[a-z0-9]+", bare))
