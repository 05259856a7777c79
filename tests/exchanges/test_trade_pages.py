import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trade_market import AFTER, Market, trades

from cq.exchanges.trade_pages import Hunt, holes, ids_of, without


def ids(numbers):
    return pl.Series(values=list(numbers), dtype=pl.Int64)


def test_holes_lie_between_neighbours():
    assert holes(ids([1, 2, 5, 6, 9])) == [(3, 4), (7, 8)]
    assert holes(ids([4])) == holes(ids([])) == []


def test_what_came_is_taken_from_what_is_missing():
    assert without([(1, 10), (20, 20)], ids([1, 2, 5, 10, 15, 20])) == [(3, 4), (6, 9)]
    assert without([(1, 3)], ids([])) == [(1, 3)]


@settings(max_examples=60)
@given(
    st.lists(st.integers(5, 400), min_size=1, max_size=120),
    st.integers(1, 50),
    st.data(),
    st.sampled_from(AFTER),
    st.sampled_from(["oldest", "newest"]),
    st.booleans(),
)
def test_a_hunt_finds_every_id_that_can_be_had(seconds, first_id, data, after, keep, open_ended):
    held = trades(sorted(seconds), first_id)
    busiest = max(seconds.count(one) for one in seconds)
    market = Market(held, data.draw(st.integers(3 * busiest + 9, 3 * busiest + 30)))
    market.keep, market.after, market.open_ended = keep, after, open_ended
    first = data.draw(st.integers(first_id, first_id + len(seconds) - 1))
    last = data.draw(st.integers(first, first_id + len(seconds) - 1))
    hunt = Hunt(first, last, market.cap)
    market.follow(hunt.steps(), 500)
    assert sorted(ids_of(hunt.rows)) == list(range(first, last + 1))
    assert hunt.missing == []


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_ids_that_the_exchange_does_not_have_are_missing_and_said(after, keep):
    held = trades(range(0, 3000, 3)).filter(~ids_of(trades(range(0, 3000, 3))).is_between(400, 404))
    hunt = Hunt(390, 1010, 100)
    Market(held, 100, keep, after).follow(hunt.steps())
    assert hunt.missing == [(400, 404), (1001, 1010)]
    assert sorted(ids_of(hunt.rows)) == [*range(390, 400), *range(405, 1001)]


@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_a_second_that_holds_more_than_a_reply_is_walked_by_id(keep):
    held = trades([5] * 10 + [6] * 500 + [7] * 10)
    hunt = Hunt(11, 510, 100)
    assert Market(held, 100, keep).follow(hunt.steps()) <= 6
    assert hunt.missing == []
    hopeless = Hunt(11, 510, 100, by_id=False)
    Market(held, 100, keep).follow(hopeless.steps())
    assert hopeless.missing


def test_where_ids_can_be_asked_for_nothing_is_asked_twice():
    market = Market(trades(range(100_000)))
    hunt = Hunt(2001, 12_000)
    assert market.follow(hunt.steps()) == 10
    assert hunt.rows.height == 10_000


def test_years_of_seconds_are_halved_not_walked():
    market = Market(trades(range(0, 400_000_000, 40_000)), after="ignored")
    hunt = Hunt(77, 80)
    assert market.follow(hunt.steps()) < 40
    assert hunt.missing == []


@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_a_hole_among_millions_is_closed_in_on_from_either_end(keep):
    market = Market(trades(range(10**9, 10**9 + 2_000_000, 20), 7_000_000), keep=keep)
    market.after = "ignored"
    hunt = Hunt(7_050_000, 7_050_100)
    assert market.follow(hunt.steps()) < 40
    assert hunt.missing == []
