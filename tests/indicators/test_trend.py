from __future__ import annotations

import math
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


immense = st.one_of(st.none(), *(st.floats(0, most) for most in (1e3, 3e9, 9e10)))


@given(st.lists(immense, max_size=60), st.integers(1, 30), st.integers(1, 30))
def test_the_cross_is_exact_at_prices_that_no_sum_holds_and_between_holes(values, fast, slow):
    units = [None if one is None else round(one * 1e8) for one in values]

    def mean(end, window):
        return Fraction(sum(units[end - window : end]), window)

    expected = []
    for end in range(1, len(units) + 1):
        first = end - max(fast, slow)
        there = first >= 0 and None not in units[first:end]
        expected.append(mean(end, fast) > mean(end, slow) if there else None)
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    assert frame.select(sma_above("x", fast, slow))["x"].to_list() == expected


def test_blocks_of_a_long_history_follow_one_another(monkeypatch):
    values = np.random.default_rng(2).lognormal(12, 3, 5_000).round(2)
    frame = pl.DataFrame({"x": values})
    whole = frame.select(sma_above("x", 7, 50))["x"]
    monkeypatch.setattr("cq.indicators.above.BLOCK", 64)
    assert frame.select(sma_above("x", 7, 50))["x"].equals(whole)
    assert whole.null_count() == 49


@pytest.mark.parametrize("price", [9.3e10, math.inf, -math.inf])
def test_a_price_that_no_whole_number_holds_is_refused(price):
    with pytest.raises(OverflowError, match=r"9\.2e10"):
        pl.DataFrame({"x": [1.0, price]}).select(sma_above("x", 1, 2))


def test_a_flat_market_is_no_cross_at_any_price():
    for price in (0.1, 1 / 3, 123_456.78, 9e9):
        frame = pl.DataFrame({"x": [round(price, 8)] * 3_000})
        assert not frame.select(sma_above("x", 240, 1_440))["x"].any()
