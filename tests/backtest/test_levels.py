"""What the levels of a position do, and what an exit leaves of decisions and orders."""

from __future__ import annotations

import pytest
from order_cases import by_hand, traded

STOP = ("share", 0.1)
FLAT = (100, 100, 100, 100, 1)
FALL = (100, 100, 80, 85, 1)
LOW = (85, 85, 85, 85, 1)


@pytest.mark.parametrize("rules", [{"fill": "next_close"}, {"latency": 1}])
def test_a_target_that_was_zero_before_the_stop_is_hit_makes_the_next_one_a_new_signal(rules):
    late = [(*FLAT, 1.0)] * rules.get("latency", 0)
    bars = [*late, (*FLAT, 1.0), (*FLAT, 1.0), (*FLAT, 0.0), (*FALL, 1.0), *[(*LOW, 1.0)] * 3]
    _, stopped, again = traded(by_hand(bars), stop=STOP, **rules)
    assert stopped[1:] == ("sell", 10, 90, "stop_loss")
    assert again[1:] == ("buy", round(900 / 85, 6), 85, "signal")


def test_a_decision_from_before_a_stop_is_not_carried_out_after_it():
    bars = [(*FLAT, 0.5), (*FLAT, 1.0), (*FALL, 1.0), *[(*LOW, 1.0)] * 3]
    assert traded(by_hand(bars), stop=STOP, latency=1) == [
        (2, "buy", 5, 100, "signal"),
        (2, "sell", 5, 90, "stop_loss"),
    ]


def test_a_decision_for_the_other_side_is_carried_out_after_a_stop_once():
    bars = [*[(*FLAT, 0.5)] * 3, (*FLAT, -0.5), (*FALL, -0.5), (*LOW, -0.5)]
    bars += [(90, 90, 90, 90, 1, -0.5)]
    made = traded(by_hand(bars), stop=STOP, latency=1, short=True)
    assert [(one[0], one[1], one[4]) for one in made] == [
        (2, "buy", "signal"),
        (4, "sell", "stop_loss"),
        (5, "sell", "signal"),
    ]


def test_an_entry_that_expires_after_zero_was_decided_waits_for_no_other_signal():
    bars = [(*FLAT, 1.0), (*FLAT, 0.0), (*FLAT, 1.0), (*FLAT, 1.0), (100, 100, 80, 100, 1, 1.0)]
    rules = {"entry": "limit", "limit": ("share", 0.1), "expires": 1, "latency": 1}
    assert traded(by_hand(bars), **rules) == [(4, "buy", round(1000 / 90, 6), 90, "signal")]


def test_an_order_for_the_other_side_that_waits_for_volume_sells_what_the_stop_has_not():
    bars = [(*FLAT[:4], 100, 0.5), (*FLAT[:4], 100, -0.5), (*FLAT[:4], 2, None)]
    bars += [(100, 100, 88, 100, 1, None), (*FLAT[:4], 100, None)]
    made = traded(
        by_hand(bars), fill="next_close", stop=STOP, short=True, participation=1.0, decimals=2
    )
    assert made == [
        (2, "buy", 5, 100, "signal"),
        (3, "sell", 2, 100, "signal"),
        (3, "sell", 1, 90, "stop_loss"),
        (5, "sell", 7, 100, "signal"),
    ]


def test_age_ends_nothing_that_a_decision_is_about_to_end():
    bars = [*[(*FLAT, 0.5)] * 3, *[(*FLAT, -0.5)] * 4]
    rules = {"max_bars": 3, "latency": 1, "short": True}
    assert traded(by_hand(bars), **rules) == [
        (2, "buy", 5, 100, "signal"),
        (5, "sell", 10, 100, "signal"),
    ]


@pytest.mark.parametrize(
    ("met", "then", "why"),
    [((100, 100, 88, 92), (92, 112, 92, 100), "stop_loss"),
     ((100, 112, 100, 105), (112, 115, 88, 100), "take_profit")],
)  # fmt: skip
def test_what_volume_leaves_of_an_exit_goes_at_market_whatever_other_level_is_met(met, then, why):
    flat = (100, 100, 100, 100, 100)
    bars = [(*flat, 1.0), (*flat, None), (*met, 4, None), (*then, 100, None), (*flat, None)]
    rules = {"fill": "next_close", "participation": 1.0, "stop": STOP, "take": STOP}
    assert traded(by_hand(bars), **rules) == [
        (2, "buy", 10, 100, "signal"),
        (2, "sell", 4, 90 if why == "stop_loss" else 110, why),
        (4, "sell", 6, 100, why),
    ]


def test_the_bar_in_which_volume_left_some_of_an_exit_raises_a_trailing_stop():
    bars = [(*FLAT[:4], 1000, 1.0), (100, 102, 100, 101, 1000, 1.0), (101, 120, 101, 103, 10, 1.0)]
    bars += [(103, 104, 102, 103, 1000, 1.0)]
    rules = {"participation": 0.1, "trail": STOP, "take": ("share", 0.05), "reentry": "now"}
    made = traded(by_hand(bars), **rules)
    assert made[:2] == [(1, "buy", 10, 100, "signal"), (2, "sell", 1, 105, "take_profit")]
    assert [(one[0], one[1], one[4]) for one in made[2:]] == [
        (3, "buy", "signal"),
        (3, "sell", "trailing_stop"),
    ]


@pytest.mark.parametrize(
    ("target", "level"),
    [(1.0, "stop"), (1.0, "trail"), (-1.0, "take")],
)
def test_a_level_below_the_first_grid_point_is_none(target, level):
    bars = by_hand([(0.01, 0.01, 0.01, 0.01, 1, target)] * 4)
    made = traded(bars, **{level: ("share", 0.5)}, tick=0.01, short=True)
    assert [one[4] for one in made] == ["signal"]


@pytest.mark.parametrize(
    ("target", "opened", "got"), [(1.0, 111.337, 111.25), (-1.0, 88.663, 88.75)]
)
def test_a_target_that_a_bar_opens_beyond_gets_a_price_on_the_grid(target, opened, got):
    bars = [(*FLAT, target), (*FLAT, target), (opened, opened, opened, opened, 1, target)]
    made = traded(by_hand(bars), take=("share", 0.1), tick=0.25, short=True)
    assert made[-1][3:] == (got, "take_profit")


LITTLE = {"min_notional": 50.0}
SUNK = (10, 10, 10, 10, 1)


def test_an_age_that_could_not_end_a_position_ends_it_once_an_order_can_be_sent():
    bars = [*[(*FLAT, 0.2)] * 2, *[(*SUNK, 0.2)] * 3, (*SUNK, 0.0), *[(*FLAT, 0.0)] * 2]
    assert traded(by_hand(bars), max_bars=2, **LITTLE) == [
        (1, "buy", 2, 100, "signal"),
        (6, "sell", 2, 100, "max_bars"),
    ]


def test_a_position_whose_time_is_over_is_not_enlarged_by_a_target_that_comes_again():
    bars = [*[(*FLAT, 0.2)] * 2, (*SUNK, 0.2), (*SUNK, 0.0), *[(*SUNK, 0.5)] * 2]
    bars += [*[(*FLAT, 0.5)] * 4]
    made = traded(by_hand(bars), max_bars=2, **LITTLE)
    assert [(one[0], one[1], one[4]) for one in made] == [
        (1, "buy", "signal"),
        (6, "sell", "max_bars"),
        (7, "buy", "signal"),
        (9, "sell", "max_bars"),
    ]


def test_a_target_for_the_other_side_ends_what_its_time_could_not():
    bars = [*[(*FLAT, 0.2)] * 2, *[(*SUNK, 0.2)] * 2, *[(*SUNK, -0.2)] * 2]
    made = traded(by_hand(bars), max_bars=2, short=True, **LITTLE)
    assert [(one[0], one[1], one[4]) for one in made] == [
        (1, "buy", "signal"),
        (5, "sell", "signal"),
    ]


def test_a_leg_that_could_not_follow_the_other_out_is_closed_once_an_order_can_be_sent():
    fell = [(*FLAT, 0.5), (*FLAT, 0.5), *[(50, 50, 50, 50, 1, 0.5)] * 4]
    other = [*[(*FLAT, 0.2)] * 2, (5, 5, 5, 5, 1, 0.2), (5, 5, 5, 5, 1, 0.0), *[(*FLAT, 0.0)] * 2]
    bars = by_hand(fell) + by_hand(other, "C-D")
    made = traded(bars, stop=("share", 0.4), together=True, **LITTLE)
    assert [(one[0], one[1], one[4]) for one in made] == [
        (1, "buy", "signal"),
        (1, "buy", "signal"),
        (2, "sell", "stop_loss"),
        (4, "sell", "other_leg"),
    ]
