"""Sums in an order that anybody can repeat."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest.sums import LANES, mean, total

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


def by_hand(values) -> float:
    lanes = [0.0] * LANES
    for place, value in enumerate(values):
        lanes[place % LANES] += value
    found = 0.0
    for lane in lanes:
        found += lane
    return found


@given(st.lists(NUMBERS, max_size=400))
def test_a_sum_has_the_bits_of_one_lane_after_the_other(values):
    assert total(values) == by_hand(values)
    assert math.isclose(total(values), math.fsum(values), rel_tol=1e-9, abs_tol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 100_003])
def test_long_columns_are_added_in_the_same_order(size):
    values = np.random.default_rng(size).normal(size=size)
    assert total(values) == by_hand(values.tolist())
    assert total(values[::-1]) == by_hand(values[::-1].tolist())


def test_a_mean_is_the_sum_over_the_count():
    assert mean([1.0, 2.0, 6.0]) == 3.0
