from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from cq.indicators import ema, sma, sma_above


@pytest.fixture(scope="module")
def walk():
    moves = np.random.default_rng(7).normal(0, 0.01, 3_000)
    return np.round(30_000 * np.exp(np.cumsum(moves)), 2)


@pytest.mark.parametrize("window", [2, 10, 240])
def test_sma_is_talibs(walk, window):
    ours = pl.DataFrame({"x": walk}).select(sma("x", window))["x"].to_numpy()
    np.testing.assert_allclose(ours, talib.SMA(walk, window), rtol=1e-12)


@pytest.mark.parametrize("window", [2, 10, 240])
def test_ema_is_talibs(walk, window):
    ours = pl.DataFrame({"x": walk}).select(ema("x", window))["x"].to_numpy()
    np.testing.assert_allclose(ours, talib.EMA(walk, window), rtol=2e-15)


def test_sma_of_whole_numbers_is_exact():
    big = [2**60, 1, 2, 3]
    means = pl.DataFrame({"x": big}).select(sma("x", 2))["x"].to_list()
    assert means == [None, (2**60 + 1) / 2, 1.5, 2.5]


def test_an_expression_serves_as_well_as_a_name():
    frame = pl.DataFrame({"x": [1.0, 2.0, 4.0]})
    assert frame.select(sma(pl.col("x") * 2, 2))["x"].to_list() == [None, 3.0, 6.0]


def test_a_window_longer_than_history_gives_nulls():
    frame = pl.DataFrame({"x": [1.0, 2.0]})
    both = frame.select(a=sma("x", 3), b=ema("x", 3), c=sma_above("x", 1, 3))
    assert both.null_count().row(0) == (2, 2, 2)


def test_ema_starts_after_leading_nulls():
    frame = pl.DataFrame({"x": [None, None, 1.0, 2.0, 3.0]})
    assert frame.select(ema("x", 2))["x"].to_list() == [None, None, None, 1.5, 2.5]


prices = st.lists(st.one_of(st.integers(1, 10), st.integers(1, 10**15)), min_size=1, max_size=40)


@given(units=prices, fast=st.integers(1, 8), more=st.integers(1, 8))
def test_the_cross_is_that_of_exact_arithmetic(units, fast, more):
    slow = fast + more
    units = [one for one in units if one < 2**50]
    frame = pl.DataFrame({"x": [one / 1e8 for one in units]}, schema={"x": pl.Float64})
    found = frame.select(sma_above("x", fast, slow))["x"].to_list()
    assert found == [
        None
        if i + 1 < slow
        else Fraction(sum(units[i + 1 - fast : i + 1]), fast)
        > Fraction(sum(units[i + 1 - slow : i + 1]), slow)
        for i in range(len(units))
    ]


def test_a_flat_market_is_no_cross_at_any_price():
    for price in (0.1, 1 / 3, 123_456.78, 9e9):
        frame = pl.DataFrame({"x": [round(price, 8)] * 3_000})
        assert not frame.select(sma_above("x", 240, 1_440))["x"].any()
