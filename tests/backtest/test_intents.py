from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.backtest.intents import changes


def loop(targets, band, act=()):
    acted, found = 0.0, []
    for row, target in enumerate(targets):
        if math.isnan(target):
            continue
        asked = row in act and target != 0
        if asked or (target == 0) != (acted == 0) or abs(target - acted) > band:
            found.append(row)
            acted = target
    return found


@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.just(math.nan), st.sampled_from([0.0, 0.2, 0.25, 0.5, 1.0]),
                       st.floats(0, 1)), max_size=300),
    st.sampled_from([0.0, 0.05, 0.1, 0.5]),
    st.sets(st.integers(0, 299)),
)  # fmt: skip
def test_changes_are_those_of_a_plain_loop(targets, band, act):
    known = np.array(targets, dtype=float)
    assert changes(known, band).tolist() == loop(targets, band)
    asked = np.isin(np.arange(known.size), list(act))
    assert changes(known, band, asked).tolist() == loop(targets, band, act)


def test_changes_far_apart_are_found():
    targets = np.zeros(100_000)
    targets[70_000:90_000] = 0.5
    targets[80_000:90_000] += 0.05
    for band, expected in [(0.0, [70_000, 80_000, 90_000]), (0.1, [70_000, 90_000])]:
        assert changes(targets, band).tolist() == expected


def test_nothing_decides_nothing():
    assert changes(np.array([]), 0.0).tolist() == []
    assert changes(np.array([math.nan] * 3), 0.1).tolist() == []
