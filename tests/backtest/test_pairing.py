"""Which fills make a round trip, however many there are and however small the last one is."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest.account import Fill
from cq.backtest.rounds import round_trips

LOT = st.integers(1, 5_000 * 10**8)
LOTS = st.lists(LOT, min_size=1, max_size=6)


def fills_of(bought, sold):
    sides = [("buy", one) for one in bought] + [("sell", one) for one in sold]
    return [
        Fill(at, "A-B", side, lots / 10**8, 1.0, 0.0, 0.0) for at, (side, lots) in enumerate(sides)
    ]


@given(LOTS, LOTS, st.integers(1, 1_000))
def test_a_trip_ends_where_nothing_is_held_whatever_its_last_fill_is(bought, sold, last):
    short = sum(sold) + last - sum(bought)
    bought = [*bought, short] if short > 0 else bought
    sold = [*sold, *([-short] if short < 0 else []), last]
    assert len(round_trips(fills_of(bought, sold))) == 1


@given(st.lists(st.tuples(st.booleans(), LOT), min_size=1, max_size=12), st.floats(0, 0.01))
def test_round_trips_make_what_the_fills_made_however_often_they_turn(moves, rate):
    moves = [one if buys else -one for buys, one in moves]
    if rest := sum(moves):
        moves.append(-rest)
    fills = [
        Fill(at, "A-B", "buy" if lots > 0 else "sell", abs(lots) / 10**8, at + 1.0,
             rate * abs(lots) / 10**8 * (at + 1), 0.0)
        for at, lots in enumerate(moves)
    ]  # fmt: skip
    made = sum(-lots / 10**8 * (at + 1.0) for at, lots in enumerate(moves))
    found = round_trips(fills)
    size = sum(one.qty * one.price for one in fills)
    assert sum(one.profit for one in found) == pytest.approx(
        made - sum(one.fee for one in fills), abs=1e-12 * size
    )
    held = list(accumulate(moves))
    ends = [at for at, (old, new) in enumerate(pairwise([0, *held])) if old and old * new <= 0]
    assert [one.closed_ts for one in found] == ends
    assert [one.opened_ts for one in found][1:] == [at if held[at] else at + 1 for at in ends[:-1]]


@given(LOTS, st.integers(100, 999))
def test_a_trip_goes_on_while_a_few_lots_are_held(bought, rest):
    sold = sum(bought) + 1_000 - rest
    found = round_trips(fills_of([*bought, 1_000], [sold, rest]))
    assert [one.closed_ts for one in found] == [len(bought) + 2]
