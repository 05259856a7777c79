"""Worked examples of the papers, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.stats import (
    Moments,
    deflated_sharpe,
    expected_best,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
)

SELECTED = Moments(1250, 2.5 / math.sqrt(250), skewness=-3, kurtosis=10)
"""Of 2014: five years of days, an annual ratio of 2.5, among trials with a variance of 1/2."""


def test_the_deflated_ratio_is_that_of_the_papers_example():
    variance = 0.5 / 250
    assert expected_best(100, variance) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(SELECTED, 100, variance) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe(SELECTED, 46, variance) == pytest.approx(0.9505, abs=5e-5)


def test_normal_returns_would_have_made_the_example_significant_with_88_trials():
    normal = Moments(1250, 2.5 / math.sqrt(250))
    assert deflated_sharpe(normal, 88, 0.5 / 250) == pytest.approx(0.9505, abs=5e-5)


def test_the_minimum_track_record_is_that_of_the_papers_example():
    """2012: an annual ratio of 2 over one of 1, daily normal returns: 2.73 years."""
    found = Moments(2, 2 / math.sqrt(252))
    assert minimum_track_record(found, 1 / math.sqrt(252)) / 252 == pytest.approx(2.73, abs=5e-3)


def test_a_record_of_just_the_minimum_length_is_just_significant():
    one = Moments(2, 0.1, -0.5, 5.0)
    length = minimum_track_record(one, 0.02, 0.9)
    longer = Moments(round(length * 1000), 0.1, -0.5, 5.0)
    assert minimum_track_record(longer, 0.02, 0.9) == pytest.approx(length)
    exact = Moments(math.ceil(length), 0.1, -0.5, 5.0)
    assert probabilistic_sharpe(exact, 0.02) == pytest.approx(0.9, abs=0.002)
    assert minimum_track_record(one, 0.1) == math.inf


def test_moments_are_those_of_the_textbook():
    x = np.array([1.0, 2.0, 4.0, 9.0])
    away = x - 4
    found = moments(x)
    assert found.count == 4
    assert found.sharpe == pytest.approx(4 / x.std(ddof=1))
    assert found.skewness == pytest.approx((away**3).mean() / x.std() ** 3)
    assert found.kurtosis == pytest.approx((away**4).mean() / x.std() ** 4)


@given(st.integers(2, 5000), st.integers(1, 500))
def test_the_best_of_more_trials_has_more_to_prove(trials, more):
    assert expected_best(trials + more, 0.01) > expected_best(trials, 0.01) >= 0


def test_the_expected_best_is_what_many_draws_show():
    best = np.random.default_rng(1).normal(0, 0.1, (4000, 50)).max(axis=1)
    assert expected_best(50, 0.01) == pytest.approx(best.mean(), rel=0.02)
    assert expected_best(1, 0.01) == 0


def test_a_chance_is_even_at_the_benchmark_and_grows_with_the_record():
    assert probabilistic_sharpe(Moments(100, 0.1), 0.1) == 0.5
    chances = [probabilistic_sharpe(Moments(n, 0.1)) for n in (10, 100, 1000)]
    assert chances == sorted(chances)


@pytest.mark.parametrize("returns", [[0.1], [0.1, 0.1, 0.1], [0.1, math.nan]])
def test_what_has_no_ratio_is_refused(returns):
    with pytest.raises(UsageError):
        moments(returns)


def test_moments_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="cannot go together"):
        probabilistic_sharpe(Moments(100, 1.0, skewness=5, kurtosis=3))
