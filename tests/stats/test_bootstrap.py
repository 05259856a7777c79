import numpy as np
import pytest

from cq.errors import UsageError
from cq.stats import confidence_interval
from cq.stats.bootstrap import mean, resampled, sharpe

RANDOM = np.random.default_rng(1)


def test_the_interval_of_a_mean_is_that_of_the_textbook():
    x = RANDOM.normal(1.0, 2.0, 400)
    found = confidence_interval(x, mean, samples=8000)
    reach = 1.96 * x.std(ddof=1) / 20
    assert found.estimate == pytest.approx(x.mean())
    assert (found.low, found.high) == pytest.approx((x.mean() - reach, x.mean() + reach), abs=0.02)


def test_the_true_value_lies_inside_as_often_as_the_level_says():
    inside = 0
    for seed in range(300):
        x = np.random.default_rng(seed).normal(0.0, 1.0, 80)
        found = confidence_interval(x, mean, level=0.9, samples=400, seed=seed)
        inside += found.low <= 0 <= found.high
    assert 0.84 < inside / 300 < 0.95


def test_runs_keep_what_follows_each_other_together():
    noise = RANDOM.normal(size=3000)
    x = np.convolve(noise, np.ones(20), "valid")  # each value resembles the next twenty
    alone, runs = (confidence_interval(x, mean, block=block) for block in (1, 100))
    assert runs.high - runs.low > 2.5 * (alone.high - alone.low)


def test_a_sample_is_made_of_runs_that_go_round():
    at = resampled(50, 200, 10, np.random.default_rng(2))
    follows = (at[:, 1:] - at[:, :-1]) % 50 == 1
    assert 0.88 < follows.mean() < 0.93
    assert set(at.ravel()) == set(range(50))
    assert (resampled(5, 4, 5, np.random.default_rng(2)).shape) == (4, 5)


def test_the_same_seed_gives_the_same_interval():
    x = RANDOM.normal(size=50)
    assert confidence_interval(x, sharpe, seed=3) == confidence_interval(x, sharpe, seed=3)
    assert confidence_interval(x, sharpe, seed=3) != confidence_interval(x, sharpe, seed=4)


def test_the_sharpe_ratio_of_what_never_moves_is_nothing():
    assert sharpe(np.array([[1.0, 1.0], [1.0, 3.0]])) == pytest.approx([0, 2 / np.sqrt(2)])


@pytest.mark.parametrize(
    ("values", "more"),
    [([1.0], {}), ([1.0, np.nan], {}), ([1.0, 2.0], {"block": 3}), ([1.0, 2.0], {"level": 1.0})],
)
def test_what_cannot_be_drawn_from_is_refused(values, more):
    with pytest.raises(UsageError):
        confidence_interval(values, mean, **more)
