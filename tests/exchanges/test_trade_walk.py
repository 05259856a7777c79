import itertools

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trade_market import AFTER, Market, trades

from cq.exchanges.trade_pages import Between, ids_of
from cq.exchanges.trade_walk import Walk
from cq.lake.known import gaps
from cq.utils.time import DAY, SECOND, YEAR


def walked(market, start_s, end_s, **options):
    """The ids that a walk brought, each once, and the walk; what it proves fits together."""
    walk = Walk(start_s * SECOND, end_s * SECOND, market.cap, **options)
    market.follow(walk.steps())
    rows, proven = walk.drain()
    for (_, end), (start, _) in itertools.pairwise(proven):
        assert end <= start
    found = set().union(*(ids_of(one) for one in rows))
    return found, proven, walk


def inside(held, start_s, end_s):
    return set(ids_of(held.filter(pl.col("ts").is_between(start_s * SECOND, end_s * SECOND - 1))))


@settings(max_examples=80)
@given(
    st.lists(st.integers(5, 400), max_size=150),
    st.data(),
    st.sampled_from(AFTER),
    st.sampled_from(["oldest", "newest"]),
    st.booleans(),
)
def test_a_walk_brings_every_trade_of_the_range_and_proves_it(
    seconds, data, after, keep, open_ended
):
    held = trades([1, *sorted(seconds)])
    busiest = max((seconds.count(one) for one in seconds), default=0)
    market = Market(held, data.draw(st.integers(3 * busiest + 9, 3 * busiest + 30)))
    market.keep, market.after, market.open_ended = keep, after, open_ended
    start = data.draw(st.integers(0, 400))
    end = data.draw(st.integers(start + 1, 420))
    found, proven, walk = walked(market, start, end)
    assert found == inside(held, start, end)
    assert (walk.lost, walk.unkept) == ([], [])
    assert proven[0][0] == start * SECOND
    assert proven[-1][1] == end * SECOND
    assert all(one[1] == two[0] for one, two in itertools.pairwise(proven))


@settings(max_examples=200)
@given(
    st.lists(st.integers(5, 400), max_size=150),
    st.integers(0, 150),
    st.integers(0, 9),
    st.data(),
    st.sampled_from(AFTER),
    st.sampled_from(["oldest", "newest"]),
    st.sampled_from(["before", "after"]),
)
def test_only_what_an_exchange_that_keeps_its_newest_trades_shows_to_be_whole_is_proven(
    seconds, gone, going, data, after, keep, forgets
):
    whole = trades(sorted(seconds), data.draw(st.integers(1, 50), label="first id"))
    busiest = max((seconds.count(one) for one in seconds), default=0)
    market = Market(whole, data.draw(st.integers(3 * busiest + 9, 3 * busiest + 30)), keep, after)
    market.given_from, market.going, market.forgets = gone, going, forgets
    start = data.draw(st.integers(0, 400))
    end = data.draw(st.integers(start + 1, 420))
    before = whole.filter(pl.col("ts") < start * SECOND)
    known = None
    if before.height and data.draw(st.booleans(), label="told of the trade before"):
        known = int(before[-1, "trade_id"]), int(before[-1, "ts"])
    found, proven, walk = walked(
        market, start, end, known=known, by_id=data.draw(st.booleans(), label="by id")
    )
    for one, two in proven:
        assert found >= inside(whole, one // SECOND, two // SECOND)
    kept = market.kept(whole)
    assert found >= inside(kept, start, end)
    left = gaps((start * SECOND, end * SECOND), proven)
    if left:
        assert walk.lost or walk.unkept or kept.is_empty()
    if going == 0:
        assert found == inside(kept, start, end)
        missing = range(known[0] + 1, gone) if known else ()
        assert all(first in missing and last in missing for first, last in walk.lost)
    if going == 0 and kept.height and forgets == "before":
        # what is left open ends with the second of the first trade that is kept
        assert all(two <= kept[0, "ts"] + SECOND for _, two in left)


@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_a_busy_year_costs_a_request_for_each_thousand_trades_and_a_few(keep):
    seconds = range(10**9, 10**9 + YEAR // SECOND, 630)
    held = trades(seconds, 700_000)
    market = Market(held, keep=keep)
    found, _, _ = walked(market, seconds[9], seconds[-1] + 1)
    assert len(found) == len(seconds) - 9
    assert len(market.asked) <= len(seconds) / 999 + 6


def test_a_dead_market_costs_a_few_requests_a_year():
    market = Market(trades([10**9 + 5]))
    found, _proven, _ = walked(market, 10**9, 10**9 + YEAR // SECOND)
    assert found == {1}
    assert len(market.asked) < 6
    quiet = Market(trades([]))
    walked(quiet, 10**9, 10**9 + YEAR // SECOND)
    assert len(quiet.asked) < 6


@pytest.mark.parametrize("after", ["newest", "ignored", "nothing"])
def test_where_ids_cannot_be_asked_for_windows_follow_the_flow(after):
    calm = range(10**9, 10**9 + DAY // SECOND, 60)
    storm = range(calm[-1], calm[-1] + 3600)
    held = trades([*calm, *storm, *(one + storm[-1] - calm[0] for one in calm)])
    market = Market(held, after=after)
    found, _, walk = walked(market, calm[0], held[-1, "ts"] // SECOND + 1)
    assert (len(found), walk.lost) == (held.height, [])
    assert len(market.asked) < 40


@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_a_second_that_holds_more_than_a_reply_is_walked_by_id(keep):
    held = trades([5] * 10 + [6] * 5000 + [7] * 10, 40)
    found, _, walk = walked(Market(held, keep=keep), 6, 7)
    assert found == inside(held, 6, 7)
    assert walk.lost == []


def test_where_it_cannot_be_the_second_is_reported_and_not_proven():
    held = trades([5] * 10 + [60] * 5000 + [70] * 10)
    found, proven, walk = walked(Market(held, after="nothing"), 5, 80)
    assert len(found) < held.height
    assert walk.lost
    assert not any(start <= 60 * SECOND < end for start, end in proven)
    assert any(start <= 70 * SECOND < end for start, end in proven)


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_a_hole_in_the_ids_is_hunted_reported_and_left_unproven(after, keep):
    whole = trades(range(100, 6100, 2))
    held = whole.filter(~ids_of(whole).is_between(1400, 1404))
    found, proven, walk = walked(Market(held, 500, keep, after), 100, 6200)
    assert found == set(ids_of(held))
    assert walk.lost == [(1400, 1404)]
    middle = int(whole[1401, "ts"])
    assert not any(start <= middle < end for start, end in proven)
    assert sum(end - start for start, end in proven) >= (6100 - 40) * SECOND


def test_a_market_whose_ids_are_not_dense_is_reported_but_not_hunted_for_ever():
    whole = trades(range(100, 4100))
    market = Market(whole.filter(ids_of(whole) % 2 == 0), 500)
    found, _, walk = walked(market, 100, 4200)
    assert found == set(range(2, 4001, 2))
    assert len(walk.lost) == 1999
    assert len(market.asked) < 200


def test_a_reply_that_is_capped_lower_than_thought_loses_nothing():
    held = trades(range(100, 9100))
    market = Market(held, 300)
    walk = Walk(100 * SECOND, 9100 * SECOND, 1000)
    market.follow(walk.steps())
    rows, _ = walk.drain()
    assert set().union(*(ids_of(one) for one in rows)) == set(range(1, 9001))


def test_nothing_is_asked_of_an_empty_range():
    market = Market(trades([5]))
    assert walked(market, 7, 7)[1] == []
    assert market.asked == []


def test_the_end_of_the_range_ends_the_walk():
    market = Market(trades(range(100, 9100)))
    walked(market, 100, 200)
    assert isinstance(market.asked[0], Between)
    assert len(market.asked) <= 4
