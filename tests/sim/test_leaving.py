"""Frames that are lost, doubled or overtaken, however many come together."""

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cq.sim.faults import FrameStrokes
from cq.sim.leaving import Leaving


def strokes(first=0, last=0, *, lost=(), duplicate=(), late=(), distance=1, ends_at=None):
    """What strikes the frames first … last, whose places are told from the beginning."""
    lost, duplicate, late = (
        np.array([one - first for one in places if first <= one < last], np.int64)
        for places in (lost, duplicate, late)
    )
    return FrameStrokes(lost, duplicate, late, distance, {}, ends_at, None)


def left(count, cuts=(), **struck):
    """The numbers of the frames in the order in which they leave."""
    one, found = Leaving(), []
    for first, last in pairwise(sorted({0, count, *cuts})):
        texts = pl.Series([str(number) for number in range(first, last)], dtype=pl.String)
        found += map(int, one.of(texts, strokes(first, last, **struck)))
    return found


def test_a_frame_leaves_after_so_many_that_came_later():
    assert left(6, late=[1], distance=2) == [0, 2, 3, 1, 4, 5]


def test_one_frame_a_turn_is_overtaken_too():
    assert left(6, cuts=range(6), late=[1, 4]) == [0, 2, 1, 3, 5, 4]


def test_what_nobody_has_overtaken_yet_waits():
    assert left(3, late=[2]) == [0, 1]


def test_lost_ones_do_not_leave_and_doubled_ones_do_twice_when_they_are_late_too():
    assert left(5, lost=[0, 3], duplicate=[1], late=[1, 3]) == [2, 1, 1, 4]


def test_after_the_last_frame_of_a_socket_none_leaves():
    texts = pl.Series(["0", "1", "2"])
    assert Leaving().of(texts, strokes(0, 3, ends_at=1)).to_list() == ["0", "1"]


PLACES = st.lists(st.integers(0, 19), max_size=6)


@given(cuts=PLACES, lost=PLACES, duplicate=PLACES, late=PLACES, distance=st.integers(1, 9))
def test_the_order_does_not_depend_on_how_many_come_together(cuts, **struck):
    assert left(20, cuts, **struck) == left(20, **struck)
