"""The first signal asks, the second one interrupts, and the old handlers come back."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from cq.execution.stopping import SLICE_S, Heeding, Stopped, Told, until_told


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(how: signal.Signals) -> None:
    said: list[str] = []
    with until_told(lambda: said.append("stopping")) as told:
        assert not told.is_set()
        signal.raise_signal(how)
        assert told.is_set()
        assert told.wait(60)  # a wait for the next look ends at once
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(how)
    assert said == ["stopping"]


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), until_told():
        raise RuntimeError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


class Slow:
    """A market that is told to stop while it is asked."""

    name, intervals = "slow", ("1h",)

    def candles(self, *_: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on asking")

    def time_ns(self, now_ns: int) -> int:
        return now_ns + 1


def test_what_leaves_nothing_half_done_ends_at_once() -> None:
    with until_told() as told:
        with pytest.raises(Stopped), told.at_once():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped), told.at_once():  # told before: it does not begin
            pytest.fail("it began")


def test_a_pause_ends_when_told_even_if_no_signal_wakes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, slept = Told(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            told.set()

    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(Stopped):
        told.pause(600)
    assert slept == [SLICE_S] * 3
    monkeypatch.undo()
    assert not Told().wait(0)
    Told().pause(0.001)


def test_a_market_that_heeds_is_left_in_the_midst_of_a_request() -> None:
    with until_told() as told:
        market = Heeding(Slow(), told)
        assert (market.name, market.intervals, market.time_ns(1)) == ("slow", ("1h",), 2)
        with pytest.raises(Stopped):
            market.candles("BTC-BRL", "1h", 0, 1)
        assert told.is_set()
