"""What the targets of a market lie between, whatever is missing among them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest.market import Bounds, Market, bounds_of

NUMBERS = st.lists(st.one_of(st.just(math.nan), st.floats(allow_nan=False)), max_size=40)


@given(NUMBERS, st.integers(1, 7))
def test_bounds_are_those_of_the_numbers_that_are_there(numbers, block):
    there = [one for one in numbers if one == one]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cq.backtest.market.BLOCK", block)
        found = bounds_of(np.array(numbers, dtype=np.float64))
    assert found.missing == len(numbers) - len(there)
    if there:
        assert found[:2] == (min(there), max(there))
    else:
        assert math.isnan(found.least)
        assert math.isnan(found.most)


def test_what_is_known_of_a_market_is_not_looked_for_again():
    moments, ones = np.arange(3) * 60, np.ones(3)
    bounds = Bounds(2.0, 3.0, 1)
    market = Market("A-B", moments, ones, ones, ones).knowing((7, 8), bounds)
    assert (market.steps, market.wanted) == ((7, 8), bounds)
    market = Market("A-B", moments, ones, ones, ones).knowing(None, bounds)
    assert (market.steps, market.wanted) == ((60, 60), bounds)
