"""Work is done once each, by as many as are asked for, the caller among them."""

import os
import signal
import time
from threading import Event, current_thread, main_thread

import pytest

from cq.cli.stopping import stoppable
from cq.lake.workers import MOST, together


@pytest.mark.parametrize("workers", [1, 4, 100])
def test_what_is_done_together_is_done_once_each_and_answered_in_order(workers):
    seen: list[int] = []

    def work(number: int) -> int:
        seen.append(number)
        return -number

    assert together(work, range(40), workers) == [-number for number in range(40)]
    assert sorted(seen) == list(range(40))
    assert together(work, (), workers) == []


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_first_error_is_raised_once_all_that_had_begun_has_ended(workers, error):
    begun, ended = [], []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.002)
        if number in (5, 6):
            raise error(number)
        ended.append(number)

    with pytest.raises(error, match=r"^5$"):
        together(work, range(1000), workers)
    assert set(begun) - set(ended) <= {5, 6}
    assert len(begun) < 1000


def test_work_that_is_shared_out_within_shared_work_ends_though_all_threads_are_taken():
    def inner(number: int) -> int:
        time.sleep(0.001)
        return number

    def outer(number: int) -> int:
        return sum(together(inner, range(number, number + 5), MOST))

    assert together(outer, range(100), MOST) == [5 * number + 10 for number in range(100)]


def test_a_process_that_was_forked_shares_out_work_too():
    together(abs, range(50), 4)
    child = os.fork()
    if child == 0:
        os._exit(together(abs, range(-50, 0), 4) != list(range(50, 0, -1)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_stop_waits_for_the_others_that_had_begun():
    begun, ended = Event(), []

    def work(number: int) -> None:
        if current_thread() is main_thread():
            assert begun.wait(30)
            signal.raise_signal(signal.SIGINT)
        begun.set()
        time.sleep(0.5)
        ended.append(number)

    def stopped() -> None:
        try:
            together(work, range(2), 2)
        finally:
            assert len(ended) == 1

    with pytest.raises(KeyboardInterrupt), stoppable():
        stopped()
