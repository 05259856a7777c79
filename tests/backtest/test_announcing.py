from __future__ import annotations

import logging

import pytest

from cq.backtest import announcing


@pytest.fixture(autouse=True)
def _new(monkeypatch):
    monkeypatch.setattr(announcing, "_TOLD", set())


def test_what_takes_long_is_said_once(caplog):
    for _ in range(2):
        announcing.announce("the engine", "half a minute", lambda: False)
    (one,) = caplog.records
    assert one.levelno == logging.WARNING
    assert one.getMessage() == (
        "making machine code of the engine, once for this version of cq; it takes about "
        "half a minute"
    )


def test_what_is_there_is_not(caplog):
    announcing.announce("the engine", "half a minute", lambda: True)
    assert caplog.records == []
