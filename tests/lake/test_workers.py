"""Work is done once each, by as many as are asked for, the caller among them."""

import time

import pytest

from cq.lake.workers import together


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
