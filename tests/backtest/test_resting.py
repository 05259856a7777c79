"""What waiting entries pay, and what they buy."""

from __future__ import annotations

import pytest
from order_cases import by_hand, traded


@pytest.mark.parametrize(
    ("target", "moved", "paid"),
    [(0.5, (100, 108, 100, 107), 105), (-0.5, (100, 100, 92, 93), 95)],
)
def test_a_stop_limit_pays_no_more_than_the_limit_it_was_given(target, moved, paid):
    bars = [(100, 100, 100, 100, 1, target), (*moved, 1, target)]
    level = {"trigger": ("share", 0.05), "limit": ("share", 0.004)}
    made = traded(by_hand(bars), entry="stop_limit", **level, tick=1.0, bps=500, short=True)
    assert [one[3] for one in made] == [paid]


def test_an_entry_for_a_little_more_sells_nothing_where_less_is_wanted_at_its_price():
    bars = [(100, 100, 100, 100, 1, 0.5), (100, 111, 100, 100, 1, 0.52)]
    bars += [(100, 112, 100, 112, 1, None), (112, 112, 112, 112, 1, None)]
    made = traded(by_hand(bars), entry="stop", trigger=("share", 0.1))
    assert made == [(1, "buy", round(500 / 110, 6), 110, "signal")]


def test_an_entry_for_more_that_a_finer_bar_fills_is_not_cancelled_by_a_stop_in_a_later_one():
    bars = [(100, 100, 100, 100, 1, 0.5), (100, 100, 97, 100, 1, 1.0)]
    bars = by_hand([*bars, (100, 100, 80, 85, 1, None), (90, 90, 90, 90, 1, None)])
    bars[2].fine = [(100, 100, 95, 97), (97, 97, 80, 85)]
    made = traded(bars, entry="limit", limit=("share", 0.02), stop=("share", 0.1), decimals=2)
    assert made == [
        (1, "buy", 5.1, 98, "signal"),
        (2, "buy", 5.1, 98, "signal"),
        (2, "sell", 10.2, 88.2, "stop_loss"),
    ]


@pytest.mark.parametrize(
    ("target", "opened", "paid"),
    [(0.5, (97.337, 99, 97, 98), 97.5), (-0.5, (103.337, 104, 103, 103), 103.25)],
)
def test_a_limit_that_a_bar_opens_beyond_pays_a_price_on_the_grid(target, opened, paid):
    bars = by_hand([(100, 100, 100, 100, 1, target), (*opened, 1, None)])
    made = traded(bars, entry="limit", limit=("share", 0.02), tick=0.25, short=True)
    assert [one[3] for one in made] == [paid]


@pytest.mark.parametrize(
    ("target", "entry"), [(0.5, "limit"), (-0.5, "stop"), (-0.5, "stop_limit")]
)
def test_an_entry_below_the_first_grid_point_is_none(target, entry):
    bars = by_hand([(0.01, 0.01, 0.01, 0.01, 1, target)] * 3)
    half = ("share", 0.5)
    made = traded(bars, entry=entry, limit=half, trigger=half, tick=0.01, short=True, expires=1)
    assert made == []
