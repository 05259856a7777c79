"""Columns become arrays with NaN where a float is not there, whichever way is the fastest."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest import columns
from cq.backtest.frames import Ordered, Part
from cq.backtest.market import bounds_of

VALUES = st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=12)
SIGNALS = st.lists(st.sampled_from([None, -1, 0, 1]), min_size=1, max_size=12)
EACH = st.floats(1e-3, 1e6)


@given(st.integers(0, 6), VALUES, st.booleans())
def test_an_array_holds_nan_where_the_column_is_null(warming, values, in_two):
    values = [None] * warming + values
    column = pl.Series(values, dtype=pl.Float64)
    if in_two:
        column = pl.concat([column.head(warming), column.slice(warming)], rechunk=False)
    expected = [math.nan if one is None else one for one in values]
    np.testing.assert_array_equal(columns.array(column), expected)


@pytest.mark.parametrize("kind", [pl.Float64, pl.Int64])
def test_a_column_without_gaps_is_not_copied(kind):
    column = pl.Series(range(10), dtype=kind)
    assert np.shares_memory(columns.array(column), column.to_numpy())
    sliced = pl.concat([column[:4], column[4:]], rechunk=False)
    assert np.shares_memory(columns.array(sliced), column.to_numpy())
    assert columns.array(sliced).tolist() == list(range(10))


def test_moments_stay_whole_numbers_wherever_their_pieces_lie():
    pieces = [pl.Series([2**62 + 1]), pl.Series([2**62 + 3])]
    found = columns.array(pl.concat(pieces, rechunk=False))
    assert found.dtype == np.int64
    assert found.tolist() == [2**62 + 1, 2**62 + 3]


@given(st.integers(0, 6), SIGNALS, EACH)
def test_signals_are_counted_to_the_bit_as_polars_would(warming, values, each):
    column = pl.Series([None] * warming + values, dtype=pl.Int8)
    expected = (column.cast(pl.Float64) * each).fill_null(math.nan).to_numpy()
    assert columns.array(column, each).tobytes() == expected.tobytes()


@given(SIGNALS, EACH)
def test_what_targets_lie_between_is_known_of_their_signals(values, each):
    rows = pl.DataFrame({"target": pl.Series(values, dtype=pl.Int8)})
    part = Part.alone("A-B", rows, each)
    target = columns.array(rows["target"], each)
    np.testing.assert_array_equal(columns.wanted_of([part], target), [bounds_of(target)])


def test_the_rows_of_a_symbol_are_a_view_of_the_whole():
    rows = pl.DataFrame({"ts": [1, 2, 1, 2, 3], "symbol": [*"AABBB"], "target": [0.0] * 5})
    (one, other) = Ordered.of(rows).parts()
    whole = columns.arrays_of(one.whole, None)
    assert columns.of_part(whole, one)["ts"].tolist() == [1, 2]
    assert columns.of_part(whole, other)["ts"].tolist() == [1, 2, 3]
    assert np.shares_memory(columns.of_part(whole, other)["ts"], whole["ts"])
    assert other.rows["ts"].to_list() == [1, 2, 3]


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("wicks", [True, False])
def test_prices_that_are_none_are_seen(wrong, wicks):
    names = columns.PRICES if wicks else ("open", "close")
    sound = {name: np.full(7, 2.0) for name in names}
    assert columns.are_sound(sound)
    for name in names:
        broken = sound | {name: np.where(np.arange(7) == 4, wrong, 2.0)}
        assert not columns.are_sound(broken)
