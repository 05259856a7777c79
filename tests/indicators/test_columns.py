from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.indicators import column, fixed_point, in_time_order


def test_a_name_and_its_column_are_the_same():
    frame = pl.DataFrame({"close": [1.0, 2.0]})
    assert frame.select(column("close")).equals(frame.select(column(pl.col("close"))))


def test_each_symbol_is_looked_at_alone_and_oldest_first():
    frame = pl.DataFrame({"symbol": ["B", "A", "B", "A"], "ts": [2, 2, 1, 1], "x": [4, 3, 2, 1]})
    moved = frame.lazy().with_columns(before=in_time_order(pl.col("x").shift(1))).collect()
    assert moved["before"].to_list() == [2, 1, None, None]


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1))
def test_prices_of_eight_decimals_survive_fixed_point(units):
    frame = pl.DataFrame({"x": [one / 1e8 for one in units if abs(one) < 2**52] or [0.0]})
    back = frame.select(fixed_point("x"))["x"].to_list()
    assert back == ([one for one in units if abs(one) < 2**52] or [0])


def test_what_does_not_fit_fixed_point_raises():
    with pytest.raises(pl.exceptions.InvalidOperationError):
        pl.DataFrame({"x": [1e12]}).select(fixed_point("x"))


def test_a_null_stays_null_in_fixed_point():
    assert pl.DataFrame({"x": [None, 1.5]}).select(fixed_point("x"))["x"].to_list() == [
        None,
        150_000_000,
    ]
