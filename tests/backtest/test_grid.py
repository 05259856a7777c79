"""What a bar's volume and unrest make of a fill's price, by a formula written out anew."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.backtest.grid import Grid, impact_of
from cq.backtest.market import Market


def by_hand(close, volume, coefficient, window):
    """One bar after the other: deviation of log returns and mean volume of the bars before it."""
    found = []
    for row in range(len(close)):
        returns = [math.log(close[i] / close[i - 1]) for i in range(1, row)][-window:]
        traded = volume[:row][-window:]
        if len(returns) < 2 or sum(traded) <= 0:
            found.append(0.0)
            continue
        usual = statistics.fmean(traded)
        found.append(coefficient * statistics.stdev(returns) / math.sqrt(usual))
    return found


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.floats(1, 1_000), st.sampled_from([0.0, 0.5, 3.0, 80.0])), max_size=40),
    st.floats(0.1, 3),
    st.integers(2, 9),
)
def test_impact_is_deviation_by_the_root_of_the_usual_volume(rows, coefficient, window):
    close, volume = (np.array([row[i] for row in rows]) for i in (0, 1))
    found = impact_of(close, volume, coefficient, window)
    assert found.tolist() == pytest.approx(
        by_hand(close.tolist(), volume.tolist(), coefficient, window), rel=1e-6, abs=1e-7
    )


def test_a_window_of_more_bars_than_there_are_is_all_of_them():
    close, volume = np.array([1.0, 2.0, 3.0, 5.0]), np.array([3.0, 1.0, 2.0, 4.0])
    few, many = (impact_of(close, volume, 1.0, window) for window in (4, 10**9))
    assert few.tobytes() == many.tobytes()


def test_a_worked_case():
    close, volume = np.array([100.0, 110.0, 99.0, 99.0]), np.array([2.0, 4.0, 3.0, 9.0])
    up, down = math.log(1.1), math.log(0.9)
    deviation = abs(up - down) / math.sqrt(2)
    assert impact_of(close, volume, 0.5, 3).tolist() == pytest.approx(
        [0, 0, 0, 0.5 * deviation / math.sqrt(3)]
    )


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(2, 30))
def test_volume_that_has_left_the_window_leaves_nothing_behind(seed, window):
    pick = np.random.default_rng(seed)
    volume = np.round(10 * np.exp(pick.normal(0, 3, 120)), 8)
    volume[60:100] = 0
    close = 100 * np.exp(np.cumsum(pick.normal(0, 0.01, 120)))
    found = impact_of(close, volume, 1.0, window)
    assert (found[60 + window : 101] == 0).all()
    assert found.tolist() == pytest.approx(by_hand(close, volume, 1.0, window), rel=1e-9)


COLUMNS = np.arange(12.0)


@pytest.mark.parametrize(
    ("columns", "copied"),
    [
        ([COLUMNS[:4], COLUMNS[4:8], COLUMNS[8:]], False),
        ([COLUMNS], False),
        ([COLUMNS[4:8], COLUMNS[:4], COLUMNS[8:]], True),
        ([COLUMNS[:4], COLUMNS[8:]], True),
        ([COLUMNS.reshape(6, 2)[:, 0]], True),
        ([COLUMNS.reshape(6, 2)[:, 0], COLUMNS.reshape(6, 2)[:, 1]], True),
        ([COLUMNS.astype(np.int64)[:4], COLUMNS.astype(np.int64)[4:]], True),
    ],
)
def test_columns_that_lie_one_behind_the_other_are_not_copied(columns, copied):
    ts = np.arange(columns[0].size)
    markets = tuple(Market(f"{i}", ts, *[column] * 3) for i, column in enumerate(columns))
    flat = Grid(markets, ts).flat(columns)
    assert flat.tolist() == np.concatenate(columns).tolist()
    assert np.shares_memory(flat, COLUMNS) is not copied
