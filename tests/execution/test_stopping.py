"""The first signal asks, the second one interrupts, and the old handlers come back."""

from __future__ import annotations

import signal

import pytest

from cq.execution.stopping import until_told


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
