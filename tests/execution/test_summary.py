"""The summary comes from the journal alone, also from one that has seen nothing yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from cq.backtest.account import Costs, Fill
from cq.backtest.tape import TRADES
from cq.execution.decisions import NO_BAR, Decision
from cq.execution.journal import Journal
from cq.execution.orders import Order, exact
from cq.execution.summary import EQUITY, equity, summary, trades
from cq.utils.time import HOUR

COSTS = Costs(taker=0.01)
SESSION = {
    "id": "s",
    "mode": "paper",
    "started_ts": 0,
    "strategy": {"name": "mine"},
    "costs": COSTS._asdict(),
    "cash": 1000.0,
}


@pytest.fixture
def journal(tmp_path: Path):
    with Journal.open(tmp_path / "paper.db") as found:
        found.begin(SESSION)
        yield found


def test_a_session_that_has_seen_nothing_is_all_cash(journal: Journal) -> None:
    found = summary(journal)
    assert (found["cash"], found["equity"], found["total_return"]) == (1000.0, 1000.0, 0.0)
    assert (found["last_bar"], found["trades"], found["positions"]) == (None, 0, [])
    assert dict(trades(journal).schema) == TRADES
    assert dict(equity(journal).schema) == EQUITY


def test_an_alert_before_any_bar_has_no_date(journal: Journal) -> None:
    with journal.transaction():
        journal.record_alert(NO_BAR, "BTC-BRL", "stale_data", "no closed bar has come yet")
    assert summary(journal)["alerts"][0]["bar"] is None


def test_positions_are_worth_their_last_close(journal: Journal) -> None:
    fill = Fill(HOUR, "BTC-BRL", "buy", 2.0, 100.0, 2.0, 0.5, "signal")
    order = Order("a", "BTC-BRL", "buy", exact(2.0), exact(100.0), 0.2, 0, HOUR)
    with journal.transaction():
        journal.record_decisions(
            [
                Decision(0, "BTC-BRL", 1, 0.2, True, "sent"),
                Decision(HOUR, "BTC-BRL", 1, 0.9, False, "blocked", "too much"),
            ]
        )
        journal.record_orders([order], 1)
        journal.record_event(order, "filled", fill, 2)
        journal.record_alert(HOUR, "BTC-BRL", "max_position", "too much")
        journal.record_step(HOUR, {"BTC-BRL": 110.0}, 1018.0, 798.0)
    found = summary(journal)
    assert found["positions"] == [{"symbol": "BTC-BRL", "qty": 2.0, "close": 110.0, "value": 220.0}]
    assert (found["cash"], found["equity"], found["fees"]) == (798.0, 1018.0, 2.0)
    assert found["total_return"] == pytest.approx(0.018)
    (decision,) = found["decisions"]  # the newest of each symbol
    assert (decision["state"], decision["reason"]) == ("blocked", "too much")
    assert (found["alerts"][0]["rule"], found["alerts"][0]["bar"]) == (
        "max_position",
        "1970-01-01T01:00:00Z",
    )
    assert found["blocked"] == {"max_position": 1}
    assert equity(journal).rows() == [(HOUR, 1018.0, 798.0)]
    assert trades(journal).rows() == [(HOUR, "BTC-BRL", "buy", 2.0, 100.0, 2.0, 0.5, "signal")]
