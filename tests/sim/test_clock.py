"""Exchange time: where it starts, how fast it runs."""

import pytest

from cq.sim.clock import END_NS, SimClock
from cq.utils.time import SECOND


class Real:
    def __init__(self) -> None:
        self.ns = 10**18

    def __call__(self) -> int:
        return self.ns


def test_it_runs_as_many_times_faster_as_it_is_told():
    real = Real()
    clock = SimClock(5, 100.0, real)
    real.ns += 3 * SECOND
    assert clock.now_ns() == 5 + 300 * SECOND
    assert clock.elapsed_s() == 3
    assert clock.real_s(SECOND) == 0.01


def test_a_change_of_pace_loses_no_time():
    real = Real()
    clock = SimClock(0, 10.0, real)
    real.ns += SECOND
    clock.run_at(2.0)
    real.ns += SECOND
    assert clock.now_ns() == 12 * SECOND


def test_a_clock_that_stands_still_moves_when_it_is_told():
    clock = SimClock(7, 0.0)
    assert clock.now_ns() == 7
    assert clock.advance(SECOND) == 7 + SECOND == clock.now_ns()
    assert clock.real_s(1) == float("inf")


def test_time_never_runs_backwards():
    clock = SimClock(0)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="forward"):
        clock.run_at(-1)


@pytest.mark.parametrize("speed", [float("nan"), float("inf"), -0.1])
def test_a_pace_that_is_none_leaves_the_clock_as_it_was(speed):
    clock = SimClock(7, 0.0)
    with pytest.raises(ValueError, match="asked for"):
        clock.run_at(speed)
    with pytest.raises(ValueError, match="asked for"):
        SimClock(7, speed)
    assert (clock.now_ns(), clock.speed) == (7, 0.0)


def test_time_ends_before_its_stamps_are_too_large():
    real = Real()
    clock = SimClock(5, 1e300, real)
    real.ns += 1
    assert clock.now_ns() == END_NS < 2**63
    with pytest.raises(ValueError, match="2200"):
        clock.advance(1)
