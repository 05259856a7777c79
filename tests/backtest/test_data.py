"""Columns become arrays with NaN where a float is not there, whichever way is the fastest."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest import data

VALUES = st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=12)


@given(st.integers(0, 6), VALUES, st.booleans())
def test_an_array_holds_nan_where_the_column_is_null(warming, values, in_two):
    values = [None] * warming + values
    column = pl.Series(values, dtype=pl.Float64)
    if in_two:
        column = pl.concat([column.head(warming), column.slice(warming)], rechunk=False)
    expected = [math.nan if one is None else one for one in values]
    for long in (1, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(data, "LONG", long)
            np.testing.assert_array_equal(data._array(column), expected)


def test_a_column_without_gaps_is_not_copied():
    column = pl.Series(np.arange(10.0))
    assert np.shares_memory(data._array(column), column.to_numpy())
