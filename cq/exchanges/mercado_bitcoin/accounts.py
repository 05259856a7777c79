"""Accounts on the wire: what to ask for and what comes back; bytes in, frozen values out.

A balance that cannot be read whole is Unreadable, never a guess: risk rules depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

from cq.errors import Refused, UsageError
from cq.exchanges.account import AccountInfo, Balance, Position, TradingFees
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.numbers import decimal, parsed
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.symbols import checked
from cq.exchanges.mercado_bitcoin.talks import Talk

ABSENT: Final = 404

Row = TypeVar("Row")


def accounts() -> Question[list[AccountInfo]]:
    """Ask which accounts the API key can see."""
    path = "/accounts"
    return Question("accounts", path, lambda body: _rows(body, path, _account), private=True)


def balances(account: str) -> Question[dict[str, Balance]]:
    """Ask what an account holds."""
    path = f"{_of(account)}/balances"
    return Question("balances", path, lambda body: balances_from(body, path), private=True)


def balances_from(body: bytes, path: str) -> dict[str, Balance]:
    """Asset → its balance, by name; the wire has them in any order, zeros included."""
    rows = _rows(body, path, _balance)
    found = {one.asset: one for one in sorted(rows, key=lambda one: one.asset)}
    if len(found) != len(rows):
        raise Unreadable(path, "it names an asset twice")
    return found


def fees(account: str, symbol: str) -> Question[TradingFees]:
    """Ask what trading a market costs an account."""
    path = f"{_of(account)}/{checked(symbol)}/fees"

    def read(body: bytes) -> TradingFees:
        return _fees(_object(parsed(body, path), path), path)

    return Question("trading_fees", path, read, private=True, symbol=symbol)


def positions(account: str, symbols: Sequence[str] = ()) -> Question[list[Position]]:
    """Ask for the open orders of an account: of `symbols`, or of all markets."""
    path = f"{_of(account)}/positions"
    query: dict[str, str | int] = {"symbols": ",".join(map(checked, symbols))} if symbols else {}
    return Question(
        "positions", path, lambda body: _rows(body, path, _position), query, private=True
    )


def tier(account: str) -> Talk[str | None]:
    """Ask for the fee tier of an account; documented, and yet 404 wherever it was recorded."""
    path = f"{_of(account)}/tier"
    question = Question("tier", path, lambda body: tier_from(body, path), private=True)
    try:
        found: str | None = yield question
    except Refused as refused:
        if refused.status != ABSENT:
            raise
        return None
    return found


def tier_from(body: bytes, path: str) -> str | None:
    """The tier in a list of one, or in an object; None in an empty one."""
    said = parsed(body, path)
    if isinstance(said, list):
        said = said[0] if said else {}
    named = _object(said, path).get("tier")
    return None if named is None else str(named)


def _of(account: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", account):
        raise UsageError(f"{account!r} is no account's id; expected one that accounts() lists")
    return f"/accounts/{account}"


def _account(row: dict[str, Any], path: str) -> AccountInfo:
    words = (_text(row, name, path) for name in ("id", "name", "currency", "type"))
    return AccountInfo(*words)


def _balance(row: dict[str, Any], path: str) -> Balance:
    amounts = (_amount(row, name, path) for name in ("available", "on_hold", "total"))
    return Balance(_text(row, "symbol", path), *amounts)


def _fees(row: dict[str, Any], path: str) -> TradingFees:
    maker, taker = (_amount(row, name, path) for name in ("maker_fee", "taker_fee"))
    if max(maker, taker) >= 1:
        raise Unreadable(path, f"its fees, {maker} and {taker}, are no fractions")
    symbol = f"{_text(row, 'base', path)}-{_text(row, 'quote', path)}"
    return TradingFees(symbol, maker, taker)


def _position(row: dict[str, Any], path: str) -> Position:
    side = _text(row, "side", path).lower()
    if side not in ("buy", "sell"):
        raise Unreadable(path, f"its side {side!r} is neither buy nor sell")
    return Position(
        order_id=_text(row, "id", path),
        symbol=_text(row, "instrument", path),
        side="buy" if side == "buy" else "sell",
        kind=_text(row, "category", path),
        quantity=_amount(row, "qty", path),
        average_price=decimal(row.get("avgPrice")) or None,
    )


def _rows(body: bytes, path: str, read: Callable[[dict[str, Any], str], Row]) -> list[Row]:
    said = parsed(body, path)
    if not isinstance(said, list):
        raise Unreadable(path, "it is no JSON array")
    return [read(_object(one, path), path) for one in said]


def _object(said: Any, path: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise Unreadable(path, "it is no JSON object")
    return said


def _text(row: dict[str, Any], name: str, path: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(path, f"its field {name} is no text")
    return value


def _amount(row: dict[str, Any], name: str, path: str) -> Decimal:
    amount = decimal(row.get(name))
    if amount is None or amount < 0:
        raise Unreadable(path, f"its field {name} is no amount")
    return amount
