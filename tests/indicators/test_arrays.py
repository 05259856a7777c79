"""Columns as arrays: the right numbers, and no copy where none is needed."""

from __future__ import annotations

import weakref

import numpy as np
import polars as pl
import pytest

from cq.indicators.arrays import adjoining, array, series

VALUES = [1.5, 2.5, 3.5, 4.5, 5.5]


def pieces(*columns):
    return pl.concat(columns, rechunk=False)


def test_chunks_of_one_column_are_not_copied():
    whole = pl.Series("x", VALUES)
    sliced = pieces(whole[:2], whole[2:3], whole[3:])
    assert sliced.n_chunks() == 3
    found = array(sliced)
    assert found.tolist() == VALUES
    assert np.shares_memory(found, whole.to_numpy())
    assert not found.flags.writeable


def test_what_is_not_copied_lives_as_long_as_it_is_used():
    whole = np.arange(6.0)
    pieces = [whole[:2], whole[2:]]
    held = [weakref.ref(one) for one in pieces]
    found = adjoining(pieces)
    assert found.tolist() == whole.tolist()
    del pieces
    assert all(one() is not None for one in held)
    del found
    assert all(one() is None for one in held)


@pytest.mark.parametrize(
    "column",
    [
        pieces(pl.Series(VALUES[:2]), pl.Series(VALUES[2:])),
        pieces(pl.Series(VALUES)[3:], pl.Series(VALUES)[:3]),
        pl.Series([1, None, 3]),
        pieces(pl.Series([1.0, None]), pl.Series([2.0])),
        pl.Series([1, 2, 3], dtype=pl.Int16),
        pl.Series([], dtype=pl.Float64),
        pl.Series([None, None]),
        pl.Series([True, False]),
    ],
    ids=str,
)
def test_any_column_becomes_floats_with_nan_for_null(column):
    expected = [np.nan if x is None else float(x) for x in column]
    found = array(column)
    np.testing.assert_array_equal(found, np.array(expected))
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    assert series(found).to_list() == [None if x is None else float(x) for x in column]
