"""A session's orders, fills and equity are in the lake once it has ended, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cq.backtest.account import Costs, Fill
from cq.errors import LakeBusy
from cq.execution.journal import Journal
from cq.execution.mirror import mirror
from cq.execution.orders import Order, exact
from cq.lake import Lake
from cq.utils.time import DAY, HOUR

COSTS = Costs(taker=0.01)
SESSION = {
    "id": "abc", "mode": "paper", "started_ts": DAY, "costs": COSTS._asdict(), "cash": 1000.0,
    "strategy": {"name": "mine", "interval": "1h", "symbols": ["BTC-BRL"]},
}  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def journal(tmp_path: Path):
    with Journal.open(tmp_path / "paper.db") as found:
        found.begin(SESSION)
        yield found


def traded(journal: Journal, number: int, side: str, price: float, *, done: bool = True) -> None:
    at, name = DAY + number * HOUR, f"order-{number}"
    order = Order(name, "BTC-BRL", side, exact(2.0), exact(price), 0.2, at, at)
    with journal.transaction():
        journal.record_orders([order], at)
        if done:
            journal.record_event(
                order, "filled", Fill(at, "BTC-BRL", side, 2.0, price, 1.5, 0.1), at
            )
        journal.record_step(at, {"BTC-BRL": price}, 1000.0 + number, 800.0)


def silent(said: str) -> None:
    raise AssertionError(said)


def test_finished_orders_fills_and_the_account_are_in_the_lake(lake, journal):
    traded(journal, 1, "buy", 100.0)
    traded(journal, 2, "buy", 110.0, done=False)
    mirror(lake, journal, 9 * DAY, silent)
    orders = lake.sql("select client_id, status, type, price, size, fee, exchange from orders")
    assert orders.rows() == [("order-1", "filled", "market", 100.0, 2.0, 1.5, "paper-abc")]
    fills = lake.sql("select ts, fill_id, side, price, size, fee from fills")
    assert fills.rows() == [(DAY + HOUR, "order-1", "buy", 100.0, 2.0, 1.5)]
    held = lake.sql("select account, size, average_cost from positions")
    assert held.rows() == [("paper-abc", 2.0, 100.0)]
    run = lake.sql("select run, mode, strategy, symbols, cash, trades, fees from runs")
    assert run.rows() == [("paper-abc", "paper", "mine", ["BTC-BRL"], 1000.0, 1, 1.5)]
    assert lake.sql("select equity, exposure from equity order by ts").rows() == [
        (1001.0, pytest.approx(1 - 800 / 1001)), (1002.0, pytest.approx(1 - 800 / 1002)),
    ]  # fmt: skip
    assert lake.sql("select side, size from run_trades").rows() == [("buy", 2.0)]


def test_the_same_again_changes_nothing_and_what_is_new_is_added(lake, journal, monkeypatch):
    traded(journal, 1, "buy", 100.0)
    mirror(lake, journal, 9 * DAY, silent)
    before = sorted(lake.root.rglob("*.parquet"))
    with monkeypatch.context() as patched:
        patched.setattr(lake, "write", None)  # nothing new, nothing written
        mirror(lake, journal, 10 * DAY, silent)
    (lake.runs / "paper-abc/run.json").unlink()
    mirror(lake, journal, 10 * DAY, silent)
    assert sorted(lake.root.rglob("*.parquet")) == before
    traded(journal, 3, "sell", 120.0)
    mirror(lake, journal, 11 * DAY, silent)
    assert lake.sql("select fill_id from fills order by ts").rows() == [("order-1",), ("order-3",)]
    assert lake.sql("from positions").is_empty()
    assert lake.sql("from rejected").is_empty()


def test_a_session_without_an_order_is_a_run_all_the_same(lake, journal):
    mirror(lake, journal, 9 * DAY, silent)
    assert lake.sql("select mode, total_return from runs").rows() == [("paper", 0.0)]
    assert lake.sql("from fills").is_empty()


def test_a_busy_lake_is_noted_and_made_up_for_next_time(lake, journal, monkeypatch):
    traded(journal, 1, "buy", 100.0)
    said: list[str] = []

    def busy(*_: object, **__: object) -> None:
        raise LakeBusy("fills of paper-abc", "process 7")

    with monkeypatch.context() as patched:
        patched.setattr(lake, "write", busy)
        mirror(lake, journal, 9 * DAY, said.append)
    assert len(said) == 1
    assert "are not in the lake yet" in said[0]
    mirror(lake, journal, 9 * DAY, silent)
    assert lake.sql("select count(*) from fills").item() == 1
