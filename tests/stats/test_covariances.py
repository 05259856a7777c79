import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from cq.errors import UsageError
from cq.stats import correlation, covariance, denoised, ledoit_wolf, oracle_approximating
from cq.stats.covariances import noisy


def frame(rows):
    return pl.DataFrame({f"S{i:02}": rows[:, i] for i in range(rows.shape[1])})


def matrix(square):
    return square.drop("symbol").to_numpy()


def drawn(n, p, seed, factors=2):
    random = np.random.default_rng(seed)
    common = random.normal(size=(n, factors)) @ random.normal(size=(factors, p))
    return 0.01 * (common + random.normal(size=(n, p)) * random.uniform(0.5, 2, p))


SHAPES = st.tuples(st.integers(3, 60), st.integers(1, 12), st.integers(0, 2**32))


@given(SHAPES)
def test_ledoit_and_wolf_is_scikit_learns(shape):
    rows = drawn(*shape)
    theirs, ours = LedoitWolf().fit(rows), ledoit_wolf(frame(rows))
    assert ours.shrinkage == pytest.approx(theirs.shrinkage_, abs=1e-9)
    assert matrix(ours.matrix) == pytest.approx(theirs.covariance_, rel=1e-9, abs=1e-15)


@given(SHAPES)
def test_oracle_approximating_shrinkage_is_the_formula_of_its_authors(shape):
    n, p, seed = shape
    rows = drawn(n, p, seed)
    s = np.cov(rows, rowvar=False, ddof=0).reshape(p, p)
    square, trace = sum(a * a for a in s.flat), sum(s[i, i] for i in range(p))
    above = (1 - 2 / p) * square + trace**2
    below = (n + 1 - 2 / p) * (square - trace**2 / p)
    expected = 1.0 if p == 1 or above >= below else above / below
    assert oracle_approximating(frame(rows)).shrinkage == pytest.approx(expected, rel=1e-6)


def test_shrinking_keeps_the_sum_of_variances_and_needs_no_more_rows_than_symbols():
    rows = drawn(10, 30, 1)
    for estimator in ("ledoit_wolf", "oas"):
        found = matrix(covariance(frame(rows), estimator))
        assert np.trace(found) == pytest.approx(np.cov(rows, rowvar=False, ddof=0).trace())
        assert np.linalg.eigvalsh(found).min() > 0
    assert np.linalg.eigvalsh(matrix(covariance(frame(rows)))).min() < 1e-12


@given(SHAPES)
def test_correlations_lie_between_minus_one_and_one(shape):
    found = matrix(correlation(frame(drawn(*shape))))
    assert np.diag(found) == pytest.approx(1)
    assert (abs(found) <= 1).all()
    assert found == pytest.approx(found.T)


def test_what_never_varies_has_no_correlation():
    found = correlation(pl.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 0.0, 0.0]}))
    assert found.rows() == [("a", 1.0, None), ("b", None, None)]


def test_rows_that_lack_a_symbol_are_left_out():
    whole = pl.DataFrame({"ts": [1, 2, 3], "a": [1.0, 2.0, 4.0], "b": [1.0, 0.0, 1.0]})
    holed = pl.concat(
        [whole, pl.DataFrame({"ts": [4], "a": [9.0], "b": [None]})], how="vertical_relaxed"
    )
    assert covariance(holed).equals(covariance(whole))


@pytest.mark.parametrize("seed", range(5))
def test_denoising_keeps_variances_and_comes_nearer_to_what_is_true(seed):
    random = np.random.default_rng(seed)
    market = random.normal(size=(2000, 1))
    rows = 0.7 * market + random.normal(size=(2000, 40))
    found, sample = matrix(denoised(frame(rows))), np.cov(rows, rowvar=False)
    assert np.diag(found) == pytest.approx(np.diag(sample))
    common = 0.49 * market.var()
    true = np.full((40, 40), common) + np.diag(np.diag(sample) - common)
    assert np.linalg.norm(found - true) < np.linalg.norm(sample - true)
    assert np.linalg.cond(found) < np.linalg.cond(sample)


def test_pure_noise_becomes_no_correlation_at_all():
    rows = np.random.default_rng(6).normal(size=(5000, 20))
    found = matrix(denoised(frame(rows)))
    assert found == pytest.approx(np.diag(np.diag(np.cov(rows, rowvar=False))), abs=1e-9)


def test_the_edge_of_noise_is_found_anew_once_a_signal_is_taken_away():
    assert noisy(np.array([0.8, 0.9, 1.0, 1.3]), 0.1) == 4
    assert noisy(np.array([0.1, 0.1, 0.2, 3.6]), 0.1) == 3
    assert noisy(np.array([0.1, 0.1, 0.1, 0.2, 4.5]), 0.01) == 3


def test_what_cannot_be_denoised_is_said():
    with pytest.raises(UsageError, match="more rows than symbols"):
        denoised(frame(drawn(5, 5, 1)))
    with pytest.raises(UsageError, match="returns of b never vary"):
        denoised(pl.DataFrame({"a": [1.0, 2.0, 4.0, 1.0], "b": [0.0] * 4}))
    with pytest.raises(UsageError, match="no estimator 'oaz'; there is sample, ledoit_wolf, oas"):
        covariance(frame(drawn(5, 2, 1)), "oaz")
