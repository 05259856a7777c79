"""Whether a journal can be trusted: nothing that its money follows from may be lost or unreadable.

SQLite's own check finds broken pages; these rules find what a sound file cannot say. A query
returns what breaks its rule, and the rule's name is the message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from math import isfinite
from pathlib import Path
from typing import Any

from cq.backtest.account import Costs
from cq.errors import ConfigError, JournalDamaged, JournalUnreadable, LakeUnwritable

Ask = Callable[[str], list[tuple[Any, ...]]]

NEEDED = ("id", "started_ts", "mode", "strategy", "costs", "cash")
"""What every session says of itself."""

KEPT = ("decisions", "orders", "fills", "steps", "equity")

RULES = {
    "its session is gone": "select 1 where not exists (select 1 from session) and ("
    + " or ".join(f"exists (select 1 from {table})" for table in KEPT)
    + ")",
    "fills of no order": "select id from fills where client_id not in"
    " (select client_id from orders)",
    "events of no order": "select id from order_events where client_id not in"
    " (select client_id from orders)",
    "decisions that were sent without an order": "select id from decisions where state = 'sent'"
    " and (ts, symbol) not in (select decided_ts, symbol from orders)",
    "filled orders without their fill": "select client_id from orders"
    " where status in ('filled', 'partial') and client_id not in (select client_id from fills)",
    "decisions acted on without a target": "select id from decisions"
    " where acted = 1 and (target is null or abs(target) >= 9e999)",
    "fills of a symbol without a bar": "select symbol from fills where symbol not in"
    " (select symbol from steps)",
    "closes that are no price": "select symbol from steps where not (close > 0 and close < 9e999)",
    "sides that are neither buy nor sell": "select id from fills where side not in ('buy', 'sell')",
    "equity that is no number": "select ts from equity"
    " where abs(equity) >= 9e999 or abs(cash) >= 9e999",
}

AMOUNTS = {
    "orders": {"quantity": "above 0", "reference": "above 0"},
    "fills": {"quantity": "above 0", "price": "above 0", "fee": "not below 0", "slippage": "any"},
}


@contextmanager
def told(path: Path, *, reading: bool = False) -> Iterator[None]:
    """What SQLite finds wrong with the file or its place, as one line; our own mistakes pass."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        # text that is no UTF-8 comes without a code
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            raise not_ours(path) from None
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
            raise JournalDamaged(path, str(error)) from None
        if reading:
            raise JournalUnreadable(path, str(error)) from None
        raise LakeUnwritable(path, str(error)) from None


def not_ours(path: Path) -> ConfigError:
    """What is said of a file that somebody else wrote."""
    return ConfigError(str(path), "is not a journal of cq; name another file with --journal OTHER")


def problem_of(ask: Ask) -> str | None:
    """The first thing wrong with the journal that answers `ask`, or None."""
    for (said,) in ask("pragma quick_check(1)"):
        if said != "ok":
            return " ".join(str(said).split())
    for rule, query in RULES.items():
        if ask(f"{query} limit 1"):
            return rule
    return _amount_problem(ask)


def _amount_problem(ask: Ask) -> str | None:
    for table, columns in AMOUNTS.items():
        for row in ask(f"select {', '.join(columns)} from {table}"):
            for (column, allowed), text in zip(columns.items(), row, strict=True):
                if not _is_amount(text, allowed):
                    return f"a {column} of {table} reads {text[:20]!r}"
    return None


def _is_amount(text: str, allowed: str) -> bool:
    try:
        value = float(Decimal(text))
    except (InvalidOperation, ValueError):
        return False
    least = {"above 0": value > 0, "not below 0": value >= 0, "any": True}
    return isfinite(value) and least[allowed]


def session_problem(session: Mapping[str, Any]) -> str | None:
    """What keeps a journal's `session` from being gone on with, or None."""
    if lost := [name for name in NEEDED if name not in session]:
        return f"its session lacks {', '.join(lost)}"
    try:
        costs = {**session["costs"]}
        dated = [one for row in costs.pop("dated", None) or () for one in row]
        numbers = [session["cash"], session["started_ts"], *costs.values(), *dated]
        Costs(**costs)
        readable = all(isfinite(one) for one in numbers if one is not None)
        readable = readable and bool(session["strategy"]["name"])
    except (TypeError, KeyError, AttributeError, OverflowError):
        readable = False
    whole = isinstance(session["started_ts"], int) and session["cash"] is not None
    return None if readable and whole else "its session is garbled"
