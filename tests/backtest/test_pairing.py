"""Which fills make a round trip, however many there are and however small the last one is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cq.backtest.account import Fill
from cq.backtest.rounds import round_trips

LOTS = st.lists(st.integers(1, 5_000 * 10**8), min_size=1, max_size=6)


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


@given(LOTS, st.integers(100, 999))
def test_a_trip_goes_on_while_a_few_lots_are_held(bought, rest):
    sold = sum(bought) + 1_000 - rest
    found = round_trips(fills_of([*bought, 1_000], [sold, rest]))
    assert [one.closed_ts for one in found] == [len(bought) + 2]
