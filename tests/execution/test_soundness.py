"""A journal that cannot be trusted is refused at every door, in one line."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from cq.backtest.account import Fill
from cq.errors import CqError, JournalDamaged
from cq.execution import session as sessions
from cq.execution.decisions import Decision
from cq.execution.journal import Journal
from cq.execution.orders import Order
from cq.execution.soundness import NEEDED, session_problem

SESSION = {
    "mode": "paper",
    "strategy": {"name": "crossover", "fast": 10},
    "costs": {"taker": 0.007},
    "cash": 1000.0,
}
BUY = Order("a1", "BTC-BRL", "buy", Decimal("0.1"), Decimal(100), 1.0, 10, 20)
FILL = Fill(20, "BTC-BRL", "buy", 0.1, 100.05, 0.07, 0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with one decision, one order and its fill."""
    path = tmp_path / "paper.db"
    with sessions.opened(path, SESSION, now_ns=1) as journal, journal.transaction():
        journal.record_decisions([Decision(10, "BTC-BRL", 1, 1.0, True, "sent")])
        journal.record_orders([BUY], 15)
        journal.record_event(BUY, "filled", FILL, 20)
        journal.record_step(20, {"BTC-BRL": 101.0}, 1000.0, 990.0)
    return path


def changed(path: Path, statements: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(statements)
    connection.close()


def refusals(path: Path) -> set[str]:
    """What opening, resuming and reading say: one and the same line."""
    found = set()
    for door in (Journal.open, Journal.read):
        with pytest.raises(JournalDamaged) as refused:
            door(path)
        found.add(str(refused.value))
    with pytest.raises(JournalDamaged), sessions.opened(path, SESSION, now_ns=2):
        pass
    return found


def test_a_sound_journal_opens(path: Path) -> None:
    for door in (Journal.open, Journal.read):
        with door(path) as journal:
            assert journal.begun()["cash"] == 1000.0
            assert journal.fills() == [FILL]


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ("update fills set price = 'abc'", "a price of fills reads 'abc'"),
        ("update fills set price = 'sNaN'", "a price of fills reads 'sNaN'"),
        ("update fills set price = '1e999'", "a price of fills reads '1e999'"),
        ("update fills set quantity = '-1'", "a quantity of fills reads '-1'"),
        ("update fills set fee = ''", "a fee of fills reads ''"),
        ("update fills set fee = cast(x'ff' as text)", "Could not decode to UTF-8"),
        ("update fills set side = 'hold'", "sides that are neither buy nor sell"),
        ("update orders set reference = 'NaN'", "a reference of orders reads 'NaN'"),
        ("delete from fills", "filled orders without their fill"),
        ("delete from order_events; delete from orders", "fills of no order"),
        ("delete from fills; delete from orders", "events of no order"),
        (
            "delete from fills; delete from order_events; delete from orders",
            "decisions that were sent without an order",
        ),
        ("update orders set decided_ts = 11", "decisions that were sent without an order"),
        ("delete from session", "its session is gone"),
        ("delete from steps", "fills of a symbol without a bar"),
        ("update steps set close = 9e999", "closes that are no price"),
        ("update equity set cash = -9e999", "equity that is no number"),
        ("update decisions set target = null", "decisions acted on without a target"),
        ("drop table steps", "no such table: steps"),
        ("update session set value = '{' where name = 'cash'", "its session is garbled"),
    ],
)
def test_what_is_lost_or_unreadable_is_named_with_the_way_out(
    path: Path, statements: str, said: str
) -> None:
    changed(path, f"pragma foreign_keys = off; {statements}")
    if "garbled" in said:
        with pytest.raises(JournalDamaged, match=said), Journal.read(path) as journal:
            journal.begun()
        return
    (line,) = refusals(path)
    assert line.startswith(f"{path}: the journal is damaged ({said}")
    assert "--fresh" in line
    assert "--journal OTHER" in line
    assert "\n" not in line


@pytest.mark.parametrize("start", [100, 4096, 8192, 12_288])
def test_no_page_can_be_damaged_without_being_refused(path: Path, start: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:start] + bytes(byte ^ 0xA5 for byte in whole[start:]))
    for door in (Journal.open, Journal.read):
        with pytest.raises(CqError, match=r"paper.db: .*--journal OTHER") as refused:
            door(path)
        assert "\n" not in str(refused.value)


def test_a_journal_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9_000])
    assert len(refusals(path)) == 1


@pytest.mark.parametrize("name", NEEDED)
def test_a_session_that_lost_a_part_is_not_gone_on_with(path: Path, name: str) -> None:
    changed(path, f"delete from session where name = '{name}'")
    with (
        pytest.raises(JournalDamaged, match=f"its session lacks {name}"),
        sessions.opened(path, SESSION, now_ns=2),
    ):
        pass


@pytest.mark.parametrize(
    "change",
    [
        {"cash": None},
        {"cash": "much"},
        {"cash": float("nan")},
        {"strategy": "crossover"},
        {"strategy": {}},
        {"costs": []},
        {"costs": {"taker": "free"}},
        {"costs": {"unheard_of": 1}},
        {"started_ts": None},
    ],
)
def test_a_garbled_session_is_told(change: dict[str, object]) -> None:
    whole = {**SESSION, "id": "a1", "started_ts": 1}
    assert session_problem(whole) is None
    assert session_problem(whole | change) == "its session is garbled"
