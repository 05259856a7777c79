"""What an order may be, given cash, positions and caps."""

from __future__ import annotations

import pytest

from cq.backtest.arithmetic import allowed


def buy(delta, held, *, others, max_gross=1.0, equity=670.0):
    cash = 1_000_000.0
    return allowed(
        delta, 0, held, cash, equity, others, 240.0, 240.0, 0.0, 0.0, 0.0, max_gross, 0.0
    )


def test_a_short_is_covered_whatever_the_cap_on_gross_exposure_leaves():
    assert buy(4.875, -5.0, others=500.0) == 4.875
    assert buy(4.875, -5.0, others=9_000.0) == 4.875


def test_what_is_bought_beyond_a_short_is_cut_to_what_the_cap_leaves():
    assert buy(9.0, -5.0, others=550.0) == pytest.approx(5.0 + (670 - 550) / 240)
    assert buy(9.0, -5.0, others=9_000.0) == 5.0
    assert buy(9.0, 2.0, others=9_000.0) == 0.0


def test_no_more_than_is_held_is_sold_of_a_position_that_ends_in_half_a_lot():
    held = 6_553_605_273_437.5 / 1e8  # so many lots that a hair of them is half a lot
    sold = allowed(-held, 0, held, 0.0, held, 0.0, 1.0, 1.0, 0.0, 0.0, 1e8, 1.0, 0.0)
    assert sold == -held
