"""The journal: what was decided, sent and filled, in one SQLite file that outlives a crash.

Every step is one transaction, on disk before the next begins (WAL, synchronous = FULL). One
process writes (see `cq.execution.session`); any number may read meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from cq.backtest.account import Account, Costs, Fill, Intent
from cq.errors import ConfigError, JournalDamaged, LakeUnwritable, NoJournal
from cq.execution.decisions import Decision, State
from cq.execution.orders import OVER, Order, Status, exact
from cq.execution.schema import SCHEMA, VERSION
from cq.execution.soundness import not_ours, problem_of, session_problem, told
from cq.utils.files import can_write_in


class Journal:
    """One journal, open. `Journal.open` writes, `Journal.read` only looks."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._db = path, connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """The journal at `path`, made when it is not there yet."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeUnwritable(path, error.strerror or str(error)) from None
        with told(path):
            journal = cls(path, sqlite3.connect(path, isolation_level=None))
        with journal._closed_on_error():
            journal._prepare()
            journal._check()
        return journal

    @classmethod
    def read(cls, path: Path) -> Self:
        """The journal at `path` for reading, also while another process writes it."""
        if not path.is_file():
            raise NoJournal(path)
        # opened for writing so that the last reader leaves no -wal and -shm; `query_only` keeps it
        way = "immutable=1" if _at_rest(path.resolve()) else "mode=rw"
        uri = f"{path.resolve().as_uri()}?{way}"
        with told(path, reading=True):
            journal = cls(path, sqlite3.connect(uri, uri=True, isolation_level=None))
        with journal._closed_on_error(), told(path, reading=True):
            journal._db.execute("pragma query_only = on")
            journal._check()
        return journal

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            with told(self.path):
                yield
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma foreign_keys = on")
        if self._db.execute("select count(*) from sqlite_schema").fetchone() == (0,):
            self._db.execute("pragma journal_mode = wal")
            self._db.executescript(
                f"begin immediate; {SCHEMA} pragma user_version = {VERSION}; commit"
            )

    def _check(self) -> None:
        """Refuse what is no journal, one of another version, and a damaged one."""
        tables = {name for (name,) in self._db.execute("select name from sqlite_schema")}
        (version,) = self._db.execute("pragma user_version").fetchone()
        if not {"session", "decisions", "orders", "fills"} <= tables:
            raise not_ours(self.path)
        if version != VERSION:
            raise ConfigError(
                str(self.path),
                f"is a journal of version {version}, this cq writes {VERSION}; "
                "name another one with --journal OTHER",
            )
        if problem := problem_of(self.rows):
            raise JournalDamaged(self.path, problem)

    def close(self) -> None:
        """Let go of the file; what was written stays."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is recorded inside, or nothing of it."""
        with told(self.path):
            self._db.execute("begin immediate")
            try:
                yield
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:  # a full disk ends it before us
                    self._db.execute("rollback")
                raise

    # ---- the session

    def session(self) -> dict[str, Any]:
        """What the session was begun with; empty before it is."""
        rows = self.rows("select name, value from session order by name")
        try:
            return {name: json.loads(value) for name, value in rows}
        except ValueError:
            raise JournalDamaged(self.path, "its session is garbled") from None

    def begun(self) -> dict[str, Any]:
        """The session, whole enough to go on with, else JournalDamaged; empty before it is."""
        found = self.session()
        if found and (problem := session_problem(found)):
            raise JournalDamaged(self.path, problem)
        return found

    def is_untouched(self) -> bool:
        """Whether nothing has happened in it yet."""
        some = (
            f"exists(select 1 from {name})" for name in ("steps", "decisions", "orders", "alerts")
        )
        ((touched,),) = self.rows(f"select {' or '.join(some)}")
        return not touched

    def begin(self, session: Mapping[str, Any]) -> None:
        """Write down what the session is made of, in the place of what nothing came of."""
        with self.transaction():
            self._db.execute("delete from session")
            self._db.executemany(
                "insert into session values (?, ?)",
                [(name, json.dumps(value, default=str)) for name, value in session.items()],
            )

    # ---- what is recorded, each inside a transaction

    def record_decisions(self, decisions: Iterable[Decision]) -> None:
        """Keep what was decided."""
        self._db.executemany(
            "insert into decisions (ts, symbol, signal, target, acted, state, reason)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            [(d.ts, d.symbol, d.signal, d.target, d.acted, d.state, d.reason) for d in decisions],
        )

    def record_outcome(self, intent: Intent, state: State, reason: str = "") -> None:
        """Say what became of a pending decision; a blocked one no longer counts as acted."""
        self._db.execute(
            "update decisions set state = ?, reason = ?, acted = ? where ts = ? and symbol = ?",
            (state, reason, state != "blocked", intent.decided_ts, intent.symbol),
        )

    def record_orders(self, orders: Iterable[Order], now_ns: int) -> None:
        """Keep orders before the broker sees them."""
        for one in orders:
            self._db.execute(
                "insert into orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    one.client_id,
                    one.decided_ts,
                    one.symbol,
                    one.side,
                    format(one.quantity, "f"),
                    format(one.reference, "f"),
                    one.target,
                    one.fill_ts,
                    one.status,
                    now_ns,
                ),
            )
            self._record_event(one, "created", now_ns)

    def record_event(self, order: Order, event: str, fill: Fill | None, now_ns: int) -> Order:
        """Keep what the broker said, and the fill if there is one; the order as it is now."""
        order = order.after(event)
        self._db.execute(
            "update orders set status = ? where client_id = ?", (order.status, order.client_id)
        )
        self._record_event(order, event, now_ns)
        if fill is not None:
            amounts = (fill.qty, fill.price, fill.fee, fill.slippage)
            self._db.execute(
                "insert into fills (client_id, ts, symbol, side, quantity, price, fee, slippage)"
                " values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    order.client_id,
                    fill.ts,
                    fill.symbol,
                    fill.side,
                    *(format(exact(amount), "f") for amount in amounts),
                ),
            )
        return order

    def _record_event(self, order: Order, event: str, now_ns: int) -> None:
        self._db.execute(
            "insert into order_events (client_id, ts, event, status) values (?, ?, ?, ?)",
            (order.client_id, now_ns, event, order.status),
        )

    def record_step(self, ts: int, closes: Mapping[str, float], equity: float, cash: float) -> None:
        """Keep that the bars at `ts` are done, and what the account was worth at their close.

        Of bars that come after those of other symbols, of that time or newer, the worth is not
        kept: the account may be another by now, and what was told of that moment stays.
        """
        self._db.executemany(
            "insert into steps values (?, ?, ?) on conflict do update set"
            " ts = excluded.ts, close = excluded.close",
            [(symbol, ts, close) for symbol, close in closes.items()],
        )
        self._db.execute(
            "insert into equity select ?, ?, ?"
            " where not exists (select 1 from equity where ts >= ?)",
            (ts, equity, cash, ts),
        )

    def record_alert(self, ts: int, symbol: str, rule: str, reason: str) -> bool:
        """Keep an alert; False when the same one is there already."""
        found = self._db.execute(
            "insert or ignore into alerts (ts, symbol, rule, reason) values (?, ?, ?, ?)",
            (ts, symbol, rule, reason),
        )
        return found.rowcount > 0

    # ---- what it remembers

    def account(self, cash: float, costs: Costs) -> Account:
        """The account, from its first cash and every fill in order: the same to the last bit."""
        account = Account(cash)
        for fill in self.fills():
            account = account.after(fill, costs)
        return account

    def fills(self) -> list[Fill]:
        """Every fill, in the order in which it changed the account."""
        rows = self.rows(
            "select ts, symbol, side, quantity, price, fee, slippage from fills order by id"
        )
        found = []
        for ts, symbol, side, *amounts in rows:
            qty, price, fee, slippage = (float(Decimal(text)) for text in amounts)
            found.append(Fill(ts, symbol, side, qty, price, fee, slippage))
        return found

    def unanswered(self) -> list[Order]:
        """Orders whose end is not known, oldest first."""
        over = [status.value for status in OVER]
        rows = self.rows(
            "select client_id, symbol, side, quantity, reference, target, decided_ts, fill_ts,"
            f" status from orders where status not in ({', '.join('?' * len(over))})"
            " order by rowid",
            over,
        )
        return [
            Order(name, symbol, side, Decimal(qty), Decimal(ref), target, at, fill_ts, Status(now))
            for name, symbol, side, qty, ref, target, at, fill_ts, now in rows
        ]

    def pending(self) -> list[Intent]:
        """Decisions that wait for their next bar."""
        rows = self.rows(
            "select symbol, target, ts from decisions where state = 'pending' order by id"
        )
        return [Intent(symbol, target, ts) for symbol, target, ts in rows]

    def acted(self) -> dict[str, float]:
        """The target last acted on, by symbol."""
        rows = self.rows(
            "select symbol, target, max(ts) from decisions where acted = 1 group by symbol"
        )
        return {symbol: target for symbol, target, _ in rows}

    def blocked(self) -> dict[str, float]:
        """The target of each symbol of whose decisions the newest, `none` aside, was blocked."""
        rows = self.rows(
            "select symbol, target, state, max(ts) from decisions where state != 'none'"
            " group by symbol"
        )
        return {symbol: target for symbol, target, state, _ in rows if state == "blocked"}

    def last_bars(self) -> dict[str, tuple[int, float]]:
        """The newest bar stepped through, by symbol: its opening time and close."""
        rows = self.rows("select symbol, ts, close from steps order by symbol")
        return {symbol: (ts, close) for symbol, ts, close in rows}

    def equity_until(self, ts: int) -> float | None:
        """The equity of the newest bar that opened at `ts` or before."""
        found = self.rows("select equity from equity where ts <= ? order by ts desc limit 1", (ts,))
        return found[0][0] if found else None

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The answer to any question in SQL; JournalDamaged where the file cannot give it."""
        with told(self.path, reading=True):
            return self._db.execute(query, values).fetchall()


def _at_rest(path: Path) -> bool:
    """Whether a journal lies where nobody can be writing it; WAL would make files to read it."""
    return not can_write_in(path.parent) and not path.with_name(f"{path.name}-wal").exists()
