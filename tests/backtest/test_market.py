"""What the targets of a market lie between, whatever is missing among them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest.market import Bounds, Market, bounds_of, bounds_of_each, last_closes

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


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.integers(0, 3))
def test_bounds_of_many_markets_are_those_of_each(markets, before):
    numbers = np.array([7.0] * before + [one for each in markets for one in each], dtype=float)
    edges = [before + sum(map(len, markets[:k])) for k in range(len(markets) + 1)]
    expected = [bounds_of(numbers[a:b]) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(bounds_of_each(numbers, edges), expected)


def test_what_is_known_of_a_market_is_not_looked_for_again():
    moments, ones = np.arange(3) * 60, np.ones(3)
    bounds = Bounds(2.0, 3.0, 1)
    market = Market("A-B", moments, ones, ones, ones).knowing((7, 8), bounds)
    assert (market.steps, market.wanted) == ((7, 8), bounds)
    market = Market("A-B", moments, ones, ones, ones).knowing(None, bounds)
    assert (market.steps, market.wanted) == ((60, 60), bounds)


ROWS = st.lists(st.integers(0, 20), min_size=1, unique=True).map(sorted)


@given(st.lists(ROWS, min_size=1, max_size=4), st.booleans(), ROWS)
def test_the_last_close_of_each_market_is_that_of_its_newest_bar(rows, shared, moments):
    each = [np.array(rows[0] if shared else one) for one in rows]
    stamps = [each[0] if shared else ts for ts in each]
    closes = [np.arange(ts.size) + 100.0 * (k + 1) for k, ts in enumerate(stamps)]
    markets = [
        Market("A-B", ts, close, close, close) for ts, close in zip(stamps, closes, strict=True)
    ]
    for ends in (np.array(moments), stamps[0]):
        found = [one.tolist() for one in last_closes(markets, ends)]
        assert found == [
            [max((c for t, c in zip(m.ts, m.close, strict=True) if t <= end), default=0.0)
             for end in ends]
            for m in markets
        ]  # fmt: skip
