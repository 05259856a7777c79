from itertools import combinations

import numpy as np
import pytest

from cq.errors import UsageError
from cq.stats import backtest_overfitting, overfitting_of_blocks


def by_hand(rows, blocks, score):
    """The definition, split by split."""
    length = len(rows) // blocks
    rows = rows[len(rows) - length * blocks :]
    parts = [rows[i * length : (i + 1) * length] for i in range(blocks)]
    logits, losses = [], []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[i] for i in chosen])
        outside = np.concatenate([parts[i] for i in range(blocks) if i not in chosen])
        best = int(np.argmax([score(inside[:, k]) for k in range(rows.shape[1])]))
        theirs = [score(outside[:, k]) for k in range(rows.shape[1])]
        rank = (1 + sum(one < theirs[best] for one in theirs)) / (rows.shape[1] + 1)
        logits.append(np.log(rank / (1 - rank)))
        losses.append(theirs[best] < 0)
    below = [0.5 if one == 0 else float(one < 0) for one in logits]
    return np.mean(below), np.mean(losses), logits


@pytest.mark.parametrize(("blocks", "bars", "trials"), [(2, 9, 2), (4, 41, 7), (8, 100, 5)])
def test_it_is_the_definition_split_by_split(blocks, bars, trials):
    rows = np.random.default_rng(blocks).normal(0.01, 1, (bars, trials))
    for name, score in (
        ("sharpe", lambda x: x.mean() / x.std(ddof=1)),
        ("mean", lambda x: x.mean()),
    ):
        found = backtest_overfitting(rows, blocks=blocks, score=name)
        probability, loss, logits = by_hand(rows, blocks, score)
        assert (found.probability, found.loss) == (probability, loss)
        assert np.sort(found.logits) == pytest.approx(np.sort(logits))


def test_the_best_of_pure_noise_is_the_best_by_luck_half_of_the_time():
    found = [
        backtest_overfitting(np.random.default_rng(seed).normal(size=(640, 60)), blocks=12)
        for seed in range(12)
    ]
    assert np.mean([one.probability for one in found]) == pytest.approx(0.5, abs=0.08)


def test_a_strategy_that_is_truly_better_is_not_luck():
    rows = np.random.default_rng(1).normal(size=(1600, 50))
    rows[:, 7] += 0.2
    found = backtest_overfitting(rows)
    assert found.probability < 0.01
    assert found.loss < 0.01
    assert found.logits.size == 12_870


def test_what_worked_in_one_half_only_is_found_out():
    rows = np.random.default_rng(2).normal(size=(400, 30))
    rows -= rows.mean(axis=0)  # what is gained in one half is lost in the other
    found = backtest_overfitting(rows, blocks=8)
    assert found.probability > 0.9
    assert found.slope < -0.8


def test_the_papers_case_of_full_overfitting_is_full_overfitting():
    """Bailey et al. 2015: centred noise of a hundred trials; what one half wins the other loses."""
    rows = np.random.default_rng(3).normal(size=(1000, 100))
    rows -= rows.mean(axis=0)
    found = backtest_overfitting(rows, blocks=8, score="mean")
    assert found.logits.size == 70
    assert (found.probability, found.loss) == (1, 1)
    assert found.slope == pytest.approx(-1)
    assert backtest_overfitting(rows, blocks=8).probability > 0.95


def test_trials_that_never_move_take_part():
    rows = np.zeros((100, 3))
    rows[:, 1] = np.random.default_rng(3).normal(1, 1, 100)
    found = backtest_overfitting(rows, blocks=4)
    assert found.probability == 0
    assert backtest_overfitting(np.zeros((100, 3)), blocks=4).slope == 0


@pytest.mark.parametrize("trials", [2, 3, 37, 100])
def test_trials_that_cannot_be_told_apart_are_overfitted_as_much_as_noise_one_half(trials):
    """37 columns: matrix products of equal columns differ in their last bits."""
    moves = np.random.default_rng(5).normal(0.001, 0.01, (160, 1))
    found = backtest_overfitting(np.repeat(moves, trials, axis=1))
    assert found.probability == 0.5
    assert (found.logits == 0).all()


def test_the_middle_of_an_odd_number_of_trials_counts_one_half():
    found = [
        backtest_overfitting(np.random.default_rng(seed).normal(size=(80, 3)), blocks=8)
        for seed in range(300)
    ]
    assert np.mean([one.probability for one in found]) == pytest.approx(0.5, abs=0.05)


def test_a_trial_that_is_there_twice_ranks_in_the_middle_of_its_two_places():
    rows = np.random.default_rng(6).normal(0.01, 1, (64, 4))
    rows[:, 3] = rows[:, 1]
    for found in (
        backtest_overfitting(rows, blocks=4),
        backtest_overfitting(rows[:, ::-1], blocks=4),
    ):
        places = {0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}
        ranks = 1 / (1 + np.exp(-found.logits))
        assert {round(one, 9) for one in ranks} <= places
        assert found.probability == backtest_overfitting(rows, blocks=4).probability


def test_splits_that_are_drawn_are_some_of_all_and_come_with_their_mirror_images():
    rows = np.random.default_rng(7).normal(0.02, 1, (1600, 20)) * np.linspace(0.5, 2, 20)
    sums, squares = (one.reshape(16, 100, 20).sum(axis=1) for one in (rows, rows**2))
    whole = overfitting_of_blocks(sums, squares, 100)
    some = overfitting_of_blocks(sums, squares, 100, splits=3_000)
    assert (whole.logits.size, some.logits.size) == (12_870, 3_000)
    assert some.probability == pytest.approx(whole.probability, abs=0.03)
    assert set(some.logits) <= set(whole.logits)
    assert (
        some.logits.tolist()
        == overfitting_of_blocks(sums, squares, 100, splits=3_000).logits.tolist()
    )


@pytest.mark.parametrize(
    ("shape", "blocks"), [((100, 1), 4), ((100,), 4), ((7, 3), 4), ((100, 3), 5), ((100, 3), 30)]
)
def test_what_cannot_be_split_is_refused(shape, blocks):
    with pytest.raises(UsageError):
        backtest_overfitting(np.zeros(shape), blocks=blocks)


def test_a_score_that_nobody_knows_is_refused():
    with pytest.raises(UsageError, match="no score 'sortino'; there is sharpe, mean"):
        backtest_overfitting(np.ones((64, 3)), score="sortino")
