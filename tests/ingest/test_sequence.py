from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.exchanges.feed import TRADE, Hole
from cq.ingest.sequence import Sequence


def rows(ids):
    """Trades whose price tells how many of their id came before."""
    made = np.zeros(len(ids), TRADE)
    made["id"] = ids
    made["price"] = [list(ids[:place]).count(one) for place, one in enumerate(ids)]
    return made


def added(sequence, *pieces):
    return [int(one) for piece in pieces for one in sequence.add(rows(piece))["id"]]


def test_trades_in_order_pass_at_once():
    sequence = Sequence("BTC-BRL")
    assert added(sequence, [7, 8], [9]) == [7, 8, 9]
    assert sequence.last == 9
    assert sequence.hole() is None


def test_a_trade_that_comes_too_early_waits_for_what_is_before_it():
    sequence = Sequence("BTC-BRL", 6)
    assert added(sequence, [7, 10, 9]) == [7]
    assert sequence.hole() == Hole("BTC-BRL", 8, 8)
    assert len(sequence) == 2
    assert added(sequence, [8]) == [8, 9, 10]
    assert sequence.hole() is None


@pytest.mark.parametrize("mangled", [9, 900_000_050])
def test_it_begins_with_two_ids_in_a_row_for_one_alone_may_be_mangled(mangled):
    sequence = Sequence("BTC-BRL")
    assert added(sequence, [mangled + 40_000]) == []
    assert (sequence.last, sequence.hole(), sequence.newest) == (None, None, mangled + 40_000)
    assert added(sequence, [20_050], [20_051, 20_052]) == [20_050, 20_051, 20_052]


def test_what_came_shortly_before_the_first_two_in_a_row_is_part_of_it():
    sequence = Sequence("BTC-BRL")
    assert added(sequence, [5_001, 7, 5_003, 5_004]) == [5_001]
    assert sequence.hole() == Hole("BTC-BRL", 5_002, 5_002)
    assert added(sequence, [5_002]) == [5_002, 5_003, 5_004]


@pytest.mark.parametrize(("last", "passed"), [(4, [5]), (5, [5]), (6, [5]), (7, [5]), (2_000, [])])
def test_rest_may_say_where_it_begins_and_vouches_for_what_waits(last, passed):
    sequence = Sequence("BTC-BRL")
    added(sequence, [5, 8])
    assert sequence.begin(last)["id"].tolist() == passed


@given(st.lists(st.integers(1, 3000), max_size=30), st.lists(st.integers(0, 30), max_size=6))
def test_where_it_begins_does_not_depend_on_how_arrivals_were_cut(ids, cuts):
    whole, cut = Sequence("BTC-BRL"), Sequence("BTC-BRL")
    places = sorted({min(one, len(ids)) for one in cuts} | {0, len(ids)})
    assert added(whole, ids) == added(cut, *(ids[a:b] for a, b in pairwise(places)))
    assert (whole.last, whole.hole(), whole.newest) == (cut.last, cut.hole(), cut.newest)


def test_what_came_before_is_counted_as_a_duplicate():
    sequence = Sequence("BTC-BRL", 6)
    assert added(sequence, [7, 7, 8], [8, 6]) == [7, 8]
    assert sequence.duplicates == 3


def test_a_hole_that_is_given_up_is_named_and_the_rest_goes_on():
    sequence = Sequence("BTC-BRL", 0)
    assert added(sequence, [1, 4, 5, 8]) == [1]
    passed, holes = sequence.give_up(6)
    assert passed["id"].tolist() == [4, 5]
    assert holes == [Hole("BTC-BRL", 2, 3), Hole("BTC-BRL", 6, 6)]
    assert sequence.hole() == Hole("BTC-BRL", 7, 7)


def test_giving_up_a_hole_lets_what_follows_it_pass():
    sequence = Sequence("BTC-BRL", 0)
    added(sequence, [3, 4])
    passed, holes = sequence.give_up(2)
    assert passed["id"].tolist() == [3, 4]
    assert holes == [Hole("BTC-BRL", 1, 2)]


def test_an_id_that_cannot_be_is_forgotten():
    sequence = Sequence("BTC-BRL", 0)
    added(sequence, [3, 10**15])
    assert sequence.forget_beyond(5) == 1
    assert sequence.hole() == Hole("BTC-BRL", 1, 2)
    assert sequence.forget_beyond(2) == 1
    assert sequence.hole() is None
    assert added(sequence, [1, 2, 3]) == [1, 2, 3]


def test_an_id_is_confirmed_by_one_beside_it():
    sequence = Sequence("BTC-BRL", 0)
    assert sequence.newest_confirmed() == 0
    added(sequence, [7])
    assert sequence.newest_confirmed() == 0
    added(sequence, [6, 9, 90, 90])
    assert sequence.newest_confirmed() == 7


@given(
    order=st.permutations(range(1, 25)),
    again=st.lists(st.integers(1, 24), max_size=20),
    cuts=st.lists(st.integers(0, 44), max_size=8),
    randomness=st.randoms(use_true_random=False),
)
def test_any_order_with_any_repeats_cut_anywhere_gives_each_trade_once_in_order(
    order, again, cuts, randomness
):
    ids = [*order, *again]
    randomness.shuffle(ids)
    arriving = rows(ids)
    sequence = Sequence("BTC-BRL", 0)
    places = sorted({min(one, len(ids)) for one in cuts} | {0, len(ids)})
    passed = [sequence.add(arriving[a:b]) for a, b in pairwise(places)]
    whole = np.concatenate(passed)
    assert whole["id"].tolist() == list(range(1, 25))
    assert not whole["price"].any(), "the first of two that share an id counts"
    assert sequence.duplicates == len(again)
    assert len(sequence) == 0
