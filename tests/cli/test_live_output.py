"""What `cq live` says is short and in words."""

from __future__ import annotations

import pytest

from cq.backtest.account import Fill
from cq.cli import live_output
from cq.execution.decisions import Decision
from cq.execution.loop import Stepped
from cq.execution.polling import Polled
from cq.execution.replay import Replayed
from cq.utils.time import parse_time

AT = parse_time("2026-03-01T05:00")
SOLD = Fill(AT, "BTC-BRL", "sell", 0.125, 480_000.5, 420.0, 1.0)


def test_a_step_says_trades_then_decisions_then_worth() -> None:
    decisions = (
        Decision(AT, "BTC-BRL", 0, 0.0, False, "none"),
        Decision(AT, "ETH-BRL", 1, 0.33, True, "pending"),
        Decision(AT, "SOL-BRL", 1, 0.5, False, "blocked", "beyond a limit"),
    )
    assert live_output.lines_of(Stepped(AT, (SOLD,), decisions, 1234.5, 1000.0)) == [
        "2026-03-01 05:00  sold 0.125 BTC-BRL at 480,000.5 (fee 420.00)",
        "2026-03-01 05:00  ETH-BRL: 0.33 of equity at the next bar",
        "2026-03-01 05:00  SOL-BRL: 0.5 of equity blocked: beyond a limit",
        "2026-03-01 05:00  equity 1,234.50  cash 1,000.00",
    ]


def test_a_look_says_what_failed_and_what_is_stale() -> None:
    said: list[str] = []
    polled = Polled(AT, fills=(SOLD,), stale={"ETH-BRL": "too old"}, failed="no network")
    tell = live_output.teller(said.append)
    tell(polled)
    assert said == [
        "2026-03-01 05:00  sold 0.125 BTC-BRL at 480,000.5 (fee 420.00)",
        "2026-03-01 05:00  no order in ETH-BRL: too old",
        "2026-03-01 05:00  no answer (no network); trying again",
    ]
    said.clear()
    tell(Polled(AT, stale={"ETH-BRL": "older still"}))
    assert said == []
    tell(Polled(AT))
    assert said == ["2026-03-01 05:00  ETH-BRL has fresh bars again"]


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (Replayed(10, 0, 10), "replayed 10 bars"),
        (Replayed(4, 6, 10), "replayed 10 bars, 6 of them before"),
        (Replayed(0, 10, 10), "all 10 bars were replayed before; --fresh replays them again"),
        (Replayed(4, 0, 10), "stopped after 4 of 10 bars (then); the same command goes on"),
    ],
)
def test_a_replay_says_how_far_it_came(done: Replayed, said: str) -> None:
    assert live_output.how_far(done, "then", {}).startswith(said)


def test_a_replay_says_what_a_backtest_would_not_have_stopped() -> None:
    blocked = {"max_gross_exposure": 1, "max_position": 2}
    assert live_output.how_far(Replayed(10, 0, 10), "then", blocked) == (
        "replayed 10 bars"
        "; 1 decision blocked by live.max_gross_exposure: the backtest knows no such limit"
        "; 2 decisions blocked by live.max_position: the backtest knows no such limit"
    )


@pytest.mark.parametrize("total", [5_001, 43_824])
def test_a_long_replay_is_ten_lines_of_progress_at_most(
    capsys: pytest.CaptureFixture[str], total: int
) -> None:
    say = live_output.progress()
    for number in range(1, total + 1):
        say(Stepped(AT, (), (), 1.0, 1.0), number, total)
    assert 9 <= len(capsys.readouterr().err.splitlines()) <= 10


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say = live_output.progress()
    for number in range(1, 2 * live_output.EVERY + 1):
        say(Stepped(AT, (), (), 1.0, 1.0), number, 2000)
    assert capsys.readouterr().err.splitlines() == [
        "500 of 2000 bars, 2026-03-01T05:00:00Z",
        "1000 of 2000 bars, 2026-03-01T05:00:00Z",
    ]
