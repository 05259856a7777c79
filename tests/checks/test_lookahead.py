import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import HOUR, hourly
from planted_leaks import HONEST, LEAKS
from polars.testing import assert_series_equal

from cq.checks import leaks
from cq.checks.lookahead import differences, disturbed, moments, same


@pytest.fixture(scope="module")
def bars():
    random = np.random.default_rng(4)
    walks = (100 * np.exp(np.cumsum(random.normal(0, 0.03, 300))) for _ in range(2))
    return pl.concat(
        hourly(name, walk.tolist(), start=start)
        for name, walk, start in zip(("A-B", "C-D"), walks, (0, 7 * HOUR), strict=True)
    )


def made(of):
    return lambda bars: of(bars.lazy()).collect()


@pytest.mark.parametrize("name", LEAKS)
def test_every_planted_leak_is_found(bars, name):
    found = leaks(made(LEAKS[name]), bars, 12, dense=10)
    assert "signal" in {one.column for one in found}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_strategy_is_not_accused(bars, name):
    assert leaks(made(HONEST[name]), bars, 12, dense=10) == []


def test_the_column_and_the_first_bar_at_fault_are_named(bars):
    def make(rows):
        later = pl.col("close").shift(-1).over("symbol", order_by="ts")
        peek = pl.when(pl.col("ts") >= 40 * HOUR).then(later)
        return rows.with_columns(feature=peek, honest=pl.col("close") * 2)

    (found,) = leaks(make, bars)
    assert (found.column, found.symbol, found.ts) == ("feature", "A-B", 40 * HOUR)
    assert found.part is None or found.part != found.whole


def test_a_frame_that_keeps_other_rows_when_it_ends_earlier_is_at_fault(bars):
    def make(rows):
        return rows.filter(pl.col("close") > pl.col("close").mean())

    assert "(rows)" in {one.column for one in leaks(make, bars)}


def test_a_future_of_wild_prices_is_still_one_of_bars(bars):
    other = disturbed(bars, 50 * HOUR, np.random.default_rng(1))
    before = pl.col("ts") <= 50 * HOUR
    assert other.filter(before).equals(bars.filter(before))
    assert (other["high"] >= other["low"]).all()
    later = other.filter(~before)["close"] / bars.filter(~before)["close"]
    assert later.max() / later.min() > 10


def test_the_first_moments_are_looked_at_one_by_one_and_the_last_never(bars):
    found = moments(bars, 5, 100)
    assert found[:100] == [i * HOUR for i in range(100)]
    assert len(found) <= 105
    assert max(found) < bars["ts"].max()
    assert moments(bars.head(1), 5, 100) == []


VALUES = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


@settings(max_examples=200)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=8))
def test_values_are_the_same_when_a_person_would_say_so(pairs):
    def alike(a, b):
        if a is None or b is None:
            return a is b
        return a == b or (a != a and b != b) or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) < np.inf

    one, other = (pl.Series([p[i] for p in pairs], dtype=pl.Float64) for i in (0, 1))
    assert_series_equal(
        same(one, other), pl.Series([alike(*p) for p in pairs], dtype=pl.Boolean), check_names=False
    )


def test_a_column_that_is_only_there_with_all_bars_is_a_difference(bars):
    (found,) = differences(bars.with_columns(x=1), bars)
    assert (found.column, found.whole, found.part) == ("x", "a column", "none")
