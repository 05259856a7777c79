"""The journal remembers to the last bit, whole steps only."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cq.backtest.account import Account, Costs, Fill, Intent, filled, sized
from cq.errors import ConfigError, LakeUnwritable, NoJournal
from cq.execution.decisions import Decision
from cq.execution.journal import Journal
from cq.execution.orders import Order, Status, exact

COSTS = Costs(taker=0.007, slippage_bps=5, quantity_decimals=8, min_notional=1)
BUY = Order("a1", "BTC-BRL", "buy", Decimal("0.1"), Decimal(100), 1.0, 10, 20)
FILL = Fill(20, "BTC-BRL", "buy", 0.1, 100.05, 0.07, 0.005)

SESSION = {
    "id": "a1b2",
    "started_ts": 1,
    "mode": "paper",
    "strategy": {"name": "mine", "fast": 10},
    "costs": {"taker": 0.007},
    "cash": 1000.0,
}


@pytest.fixture
def journal(tmp_path: Path):
    with Journal.open(tmp_path / "paper.db") as found:
        yield found


def test_it_is_made_with_its_folder_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "deep" / "paper.db"
    with Journal.open(path) as journal:
        assert journal.begun() == {}
        journal.begin(SESSION)
    with Journal.open(path) as journal:
        assert journal.session() == SESSION
        assert journal.begun() == SESSION


def test_every_commit_is_on_disk_before_the_next(journal: Journal) -> None:
    assert journal.rows("pragma journal_mode") == [("wal",)]
    assert journal.rows("pragma synchronous") == [(2,)]


def test_tables_are_strict(journal: Journal) -> None:
    with pytest.raises(sqlite3.IntegrityError), journal.transaction():
        journal.rows("insert into steps values ('BTC-BRL', 'not a time', 1.0)")


def test_what_fails_half_way_leaves_nothing(journal: Journal) -> None:
    twice = [BUY, BUY]
    with pytest.raises(sqlite3.IntegrityError), journal.transaction():
        journal.record_orders(twice, 1)
    assert journal.rows("select * from orders") == []
    assert journal.rows("select * from order_events") == []


def test_a_client_id_is_in_it_once(journal: Journal) -> None:
    with journal.transaction():
        journal.record_orders([BUY], 1)
    with pytest.raises(sqlite3.IntegrityError), journal.transaction():
        journal.record_orders([BUY], 2)


def test_an_order_is_filled_once(journal: Journal) -> None:
    with journal.transaction():
        journal.record_orders([BUY], 1)
        order = journal.record_event(BUY, "part_filled", FILL, 2)
    with pytest.raises(sqlite3.IntegrityError), journal.transaction():
        journal.record_event(order, "filled", FILL, 3)


def test_money_is_kept_as_decimal_text(journal: Journal) -> None:
    tiny = replace(BUY, quantity=exact(1e-08), reference=exact(123456789.125))
    with journal.transaction():
        journal.record_orders([tiny], 1)
    assert journal.rows("select quantity, reference from orders") == [
        ("0.00000001", "123456789.125")
    ]


def test_every_event_of_an_order_is_kept(journal: Journal) -> None:
    with journal.transaction():
        journal.record_orders([BUY], 1)
        journal.record_event(journal.record_event(BUY, "accepted", None, 2), "filled", FILL, 3)
    assert journal.rows("select ts, event, status from order_events order by id") == [
        (1, "created", "new"),
        (2, "accepted", "open"),
        (3, "filled", "filled"),
    ]
    assert journal.rows("select status from orders") == [("filled",)]


def test_orders_without_an_end_are_unanswered(journal: Journal) -> None:
    others = [replace(BUY, client_id=f"a{n}") for n in range(2, 5)]
    with journal.transaction():
        journal.record_orders([BUY, *others], 1)
        journal.record_event(BUY, "filled", FILL, 2)
        journal.record_event(others[0], "timed_out", None, 2)
        journal.record_event(others[1], "rejected", None, 2)
    assert journal.unanswered() == [replace(others[0], status=Status.UNKNOWN), others[2]]


def test_pending_decisions_come_back_as_intents(journal: Journal) -> None:
    with journal.transaction():
        journal.record_decisions(
            [
                Decision(10, "BTC-BRL", 1, 0.5, True, "pending"),
                Decision(10, "ETH-BRL", 0, 0.0, False, "none"),
                Decision(10, "SOL-BRL", None, None, False, "none"),
            ]
        )
    assert journal.pending() == [Intent("BTC-BRL", 0.5, 10)]
    with journal.transaction():
        journal.record_outcome(Intent("BTC-BRL", 0.5, 10), "sent")
    assert journal.pending() == []
    assert journal.acted() == {"BTC-BRL": 0.5}


def test_a_blocked_decision_does_not_count_as_acted(journal: Journal) -> None:
    with journal.transaction():
        journal.record_decisions(
            [
                Decision(10, "BTC-BRL", 1, 0.5, True, "sent"),
                Decision(20, "BTC-BRL", 0, 0.0, True, "pending"),
            ]
        )
        journal.record_outcome(Intent("BTC-BRL", 0.0, 20), "blocked", "too risky")
    assert journal.acted() == {"BTC-BRL": 0.5}
    assert journal.rows("select reason from decisions where ts = 20") == [("too risky",)]


def test_it_knows_the_newest_bar_of_each_symbol(journal: Journal) -> None:
    with journal.transaction():
        journal.record_step(10, {"BTC-BRL": 5.0, "ETH-BRL": 2.0}, 100.0, 50.0)
        journal.record_step(20, {"BTC-BRL": 6.0}, 101.0, 50.0)
    assert journal.last_bars() == {"BTC-BRL": (20, 6.0), "ETH-BRL": (10, 2.0)}
    assert (journal.equity_until(9), journal.equity_until(19)) == (None, 100.0)


def test_an_alert_is_raised_once(journal: Journal) -> None:
    with journal.transaction():
        assert journal.record_alert(1, "BTC-BRL", "stale_data", "old")
        assert not journal.record_alert(1, "BTC-BRL", "stale_data", "old")
        assert journal.record_alert(2, "BTC-BRL", "stale_data", "old")


trades = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0.01, 1e6), st.sampled_from(["BTC-BRL", "ETH-BRL"])),
    max_size=25,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=trades, cash=st.floats(1, 1e7))
def test_the_account_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[tuple[float, float, str]],
    cash: float,
) -> None:
    account, marks = Account(cash), {"BTC-BRL": 1.0, "ETH-BRL": 1.0}
    path = tmp_path_factory.mktemp("journal") / "paper.db"
    with Journal.open(path) as journal:
        journal.begin(SESSION)
        for number, (target, price, symbol) in enumerate(found):
            marks[symbol] = price
            intent = Intent(symbol, target, number)
            order = sized(intent, account, account.equity(marks), price, marks, COSTS)
            if order is None:
                continue
            fill = filled(order, number, COSTS)
            account = account.after(fill, COSTS)
            written = Order(
                str(number), symbol, order.side, exact(order.qty), exact(price), target, number, 1
            )
            with journal.transaction():
                journal.record_orders([written], number)
                journal.record_event(written, "filled", fill, number)
                journal.record_step(number, {symbol: price}, 1.0, account.cash)
            assert account.cash >= 0
    with Journal.read(path) as journal:
        again = journal.account(cash, COSTS)
    assert again.cash.hex() == account.cash.hex()
    assert dict(again.positions) == dict(account.positions)


def test_it_can_be_read_while_it_is_written(journal: Journal) -> None:
    with Journal.read(journal.path) as reader, journal.transaction():
        journal.record_orders([BUY], 1)
        assert reader.rows("select count(*) from orders") == [(0,)]


def test_a_reader_cannot_write(journal: Journal) -> None:
    with (
        Journal.read(journal.path) as reader,
        pytest.raises(LakeUnwritable, match="cannot write"),
        reader.transaction(),
    ):
        reader.record_orders([BUY], 1)


def test_a_reader_leaves_no_file_behind(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with Journal.open(path):
        pass
    with Journal.read(path) as reader:
        assert reader.session() == {}
    assert list(tmp_path.iterdir()) == [path]


def read_only(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code where `folder` cannot be written, whoever runs it; skipped where that cannot be."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 77; exec "$1" -c "$2"'
    typed = ["unshare", "-rm", "sh", "-c", mount, str(folder), sys.executable, code]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    done = subprocess.run(typed, capture_output=True, text=True)
    if done.returncode == 77 or done.stderr.startswith("unshare"):
        pytest.skip("nothing can be mounted here")
    return done


def test_a_journal_on_a_read_only_file_system_is_read(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with Journal.open(path) as journal:
        journal.begin(SESSION)
    code = (
        "from pathlib import Path; from cq.execution.journal import Journal; "
        f"print(Journal.read(Path({str(path)!r})).session()['id'])"
    )
    done = read_only(tmp_path, code)
    assert done.stdout == "a1b2\n", done.stderr


def test_reading_needs_a_journal(tmp_path: Path) -> None:
    with pytest.raises(NoJournal, match="no journal there; `cq live --paper FILE` begins one"):
        Journal.read(tmp_path / "none.db")


@pytest.mark.parametrize("door", [Journal.open, Journal.read])
def test_another_file_is_no_journal_and_stays_as_it_is(tmp_path: Path, door) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("my notes, long enough to be read as the header of a database, by far")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("create table mine (a)")
    connection.close()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(ConfigError, match="is not a journal of cq"):
            door(path)
        assert path.read_bytes() == before


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "paper.db") as journal:
        journal.rows("pragma user_version = 99")
    with pytest.raises(ConfigError, match="version 99, this cq writes 1"):
        Journal.open(tmp_path / "paper.db")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeUnwritable, match="cannot write"):
        Journal.open(tmp_path / "file" / "paper.db")
    with pytest.raises(LakeUnwritable, match="cannot write"):
        Journal.open(tmp_path)
