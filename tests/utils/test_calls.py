from __future__ import annotations

from threading import Event, Thread

import duckdb
import pytest

from cq.utils.calls import interrupt_all, interruptible

LONG = "select sum(range % 7) from range(1000000000000)"


def test_what_a_connection_is_at_is_broken_off_and_what_comes_later_is_answered():
    gone = interruptible(duckdb.connect())
    gone.close()
    connection = interruptible(interruptible(duckdb.connect()).cursor())
    ended = Event()

    def interrupt() -> None:
        while not ended.wait(0.1):
            interrupt_all()

    other = Thread(target=interrupt)
    other.start()
    with pytest.raises(duckdb.InterruptException):
        connection.execute(LONG)
    ended.set()
    other.join()
    assert connection.sql("select 1").fetchall() == [(1,)]
