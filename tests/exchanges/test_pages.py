import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.exchanges.pages import Pages, buckets, moved, settled
from cq.utils.time import DAY, HOUR, MINUTE, bar_end, parse_time, to_ns


def answered(pages, reply, most=10_000):
    """Drive `pages` with `reply(asked) -> stamps`; what it proved, what it heard, how often."""
    proven, heard, requests = [], set(), 0
    while (asked := pages.next()) is not None:
        requests += 1
        assert requests < most, "it never ends"
        assert asked[0] < asked[1]
        stamps = reply(asked)
        heard |= set(stamps)
        found = pages.answer(asked, stamps)
        if found:
            proven.append(found)
    return sorted(proven), heard, requests


def server(bars, cap=None, keep="newest"):
    def reply(asked):
        found = [ts for ts in sorted(bars) if asked[0] <= ts < asked[1]]
        if cap is None:
            return found
        return found[-cap:] if keep == "newest" else found[:cap]

    return reply


def touch(proven):
    """Whether ranges follow each other without a gap or an overlap."""
    return all(one[1] == two[0] for one, two in itertools.pairwise(proven))


ASKED = {
    "start": st.integers(-5, 100),
    "length": st.integers(1, 120),
    "shift": st.integers(0, 59),
    "page": st.integers(1, 60),
    "cap": st.none() | st.integers(1, 40),
    "keep": st.sampled_from(["newest", "oldest"]),
    "reach": st.integers(0, 40),
}
"""A range, how it is asked for, and how replies are cut."""


@given(
    numbers=st.sets(st.integers(0, 150), max_size=120),
    **ASKED,
)
def test_whatever_the_cap_every_bar_is_heard_of_and_every_instant_proven_once(
    numbers, start, length, shift, page, cap, keep, reach
):
    bars = {number * MINUTE for number in numbers}
    begin = start * MINUTE + shift
    asked = (begin, begin + length * MINUTE)
    pages = Pages("1m", [asked], page, asked[1] + reach * MINUTE)
    proven, heard, requests = answered(pages, server(bars, cap, keep))
    assert {ts for ts in bars if asked[0] <= ts < asked[1]} <= heard
    assert touch(proven)
    assert (proven[0][0], proven[-1][1]) == asked
    assert requests <= 6 * length + 8


@given(
    numbers=st.sets(st.integers(-40, 150), max_size=150),
    **ASKED,
    most_rows=st.booleans(),
    anchored=st.booleans(),
    moments=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 100)), max_size=3),
)
def test_what_an_exchange_that_forgets_has_no_more_is_never_proven_to_be_empty(
    numbers, start, length, shift, page, cap, keep, reach, most_rows, anchored, moments
):
    bars = {number * MINUTE for number in numbers}
    begin = start * MINUTE + shift
    asked = (begin, begin + length * MINUTE)
    anchor = max((ts for ts in bars if ts < begin), default=None) if anchored else None
    kept, requests = set(bars), itertools.count()

    def reply(one):
        now = next(requests)
        for moment, newest in moments:
            if moment <= now:
                kept.intersection_update(sorted(bars)[len(bars) - min(newest, len(bars)) :])
        return server(kept, cap, keep)(one)

    pages = Pages(
        "1m",
        [asked],
        page,
        asked[1] + reach * MINUTE,
        {} if anchor is None else {begin: anchor},
        min(cap or 1000, 1000) if most_rows else 0,
    )
    proven, heard, asked_for = answered(pages, reply)
    ends = sorted([*proven, *pages.unkept])
    assert touch(ends)
    assert (ends[0][0], ends[-1][1]) == asked
    known_from = asked[0] if anchor is not None else min(heard, default=asked[1])
    for low, high in proven:
        assert {ts for ts in bars if max(low, known_from) <= ts < high} <= heard
    assert not pages.unkept or kept < bars
    assert not pages.unkept or anchor is not None or heard
    assert asked_for <= 8 * length + 8


def test_where_the_bar_before_does_not_come_any_more_nothing_is_known_up_to_the_first_bar():
    bars = {number * MINUTE for number in range(10_000)}
    kept = {ts for ts in bars if ts >= 5000 * MINUTE}
    asked = (2000 * MINUTE, 10_000 * MINUTE)
    for cap, keep in ((None, "newest"), (70, "newest"), (70, "oldest")):
        pages = Pages("1m", [asked], 1000, anchors={asked[0]: 1999 * MINUTE})
        proven, heard, requests = answered(pages, server(kept, cap, keep))
        assert (min(pages.unkept)[0], max(pages.unkept)[1]) == (asked[0], 5000 * MINUTE)
        assert touch(sorted(pages.unkept))
        assert (proven[0][0], proven[-1][1]) == (5000 * MINUTE, asked[1])
        assert heard == kept
        assert requests < (130 if cap else 20)


def test_a_silence_is_proven_by_the_bar_before_it_in_the_same_reply():
    bars = {0, MINUTE}
    asked = []
    pages = Pages("1m", [(2 * MINUTE, 9 * MINUTE)], 1000, anchors={2 * MINUTE: MINUTE}, most_rows=2)

    def reply(one):
        asked.append(one)
        return server(bars)(one)

    proven, _, _ = answered(pages, reply)
    assert (proven, asked) == ([(2 * MINUTE, 9 * MINUTE)], [(MINUTE, 9 * MINUTE)])


def test_a_long_silence_is_proven_piece_by_piece_by_the_bar_before_it():
    pages = Pages("1m", [(MINUTE, 50_000 * MINUTE)], 1000, anchors={MINUTE: 0}, most_rows=2)
    proven, _, requests = answered(pages, server({0}))
    assert (proven[0][0], proven[-1][1]) == (MINUTE, 50_000 * MINUTE)
    assert touch(proven)
    assert max(high - low for low, high in proven) <= 9000 * MINUTE
    assert requests <= 50 + 7


def test_the_first_question_is_the_same_whether_the_bar_before_is_known_or_not():
    asked = (MINUTE, 9 * MINUTE)
    pages = Pages("1m", [asked], 1000, anchors={MINUTE: 0})
    assert pages.next() == asked
    proven, _, requests = answered(pages, server({0, MINUTE, 2 * MINUTE, 8 * MINUTE}))
    assert (proven, requests) == ([(MINUTE, 9 * MINUTE)], 1)


def test_a_full_range_takes_as_few_requests_as_pages():
    bars = {number * HOUR for number in range(2500)}
    _, _, requests = answered(Pages("1h", [(0, 2500 * HOUR)], 1000), server(bars))
    assert requests == 3


def test_a_thin_market_costs_hardly_more():
    bars = {number * MINUTE for number in range(20_000) if number % 7 and number % 13}
    _, _, requests = answered(Pages("1m", [(0, 20_000 * MINUTE)], 1000), server(bars))
    assert requests <= 24


def test_an_empty_past_is_proven_page_by_page_and_its_end_once():
    bars = {number * HOUR for number in range(3500, 4000)}
    proven, _, requests = answered(Pages("1h", [(0, 4000 * HOUR)], 1000), server(bars))
    assert requests == 5
    assert touch(proven)


def test_a_page_shrinks_to_the_cap_once_a_cut_has_been_seen():
    bars = {number * MINUTE for number in range(5000)}
    for keep in ("newest", "oldest"):
        pages = Pages("1m", [(0, 5000 * MINUTE)], 1000)
        _, _, requests = answered(pages, server(bars, 300, keep))
        assert pages.page_bars == 300
        assert requests <= 5000 / 299 + 4


def test_bars_need_not_open_where_the_epoch_says():
    bars = {number * 3 * HOUR + HOUR for number in range(100)}
    proven, heard, requests = answered(Pages("3h", [(0, 300 * HOUR)], 50), server(bars, 20))
    assert heard == bars
    assert touch(proven)
    assert requests < 12


def test_months_are_as_long_as_they_are():
    months = {
        parse_time(f"{year}-{month:02}-01") for year in (2023, 2024) for month in range(1, 13)
    }
    asked = (parse_time("2022-06-15"), parse_time("2025-01-01"))
    for cap in (None, 5):
        proven, heard, _ = answered(Pages("1M", [asked], 12), server(months, cap))
        assert heard == months
        assert (proven[0][0], proven[-1][1]) == asked


def test_the_last_page_reaches_to_now_and_the_bar_in_progress_proves_its_end():
    bars = {0, HOUR, 5 * HOUR}
    asked = []

    def reply(one):
        asked.append(one)
        return server(bars)(one)

    proven, _, requests = answered(Pages("1h", [(0, 5 * HOUR)], 1000, 5 * HOUR + 1), reply)
    assert asked == [(0, 5 * HOUR + 1)]
    assert proven == [(0, 5 * HOUR)]
    assert requests == 1


@pytest.mark.parametrize(
    ("end", "left"),
    [(30, [(0, 10), (20, 30)]), (25, [(0, 10), (20, 25)]), (20, [(0, 10)]), (5, [(0, 5)]), (0, [])],
)
def test_nothing_is_asked_for_from_an_end_on_that_came_to_be_known(end, left):
    pages = Pages("1h", [(0, 10 * HOUR), (20 * HOUR, 30 * HOUR)], 1000, 99 * HOUR)
    pages.end_at(end * HOUR)
    asked = []
    while (one := pages.next()) is not None:
        asked.append(one)
        pages.answer(one, [])
    ends = [(start * HOUR, stop * HOUR) for start, stop in left]
    assert asked[:-1] == ends[:-1]
    assert asked == ends or (end == 30 and asked[-1] == (20 * HOUR, 99 * HOUR))


def test_ranges_apart_are_asked_for_apart():
    asked = []
    pages = Pages("1h", [(0, HOUR), (9 * HOUR, 11 * HOUR), (20 * HOUR, 20 * HOUR)], 1000)
    while (one := pages.next()) is not None:
        asked.append(one)
        pages.answer(one, [])
    assert asked == [(0, HOUR), (9 * HOUR, 11 * HOUR)]


def test_stamps_outside_the_range_prove_nothing():
    pages = Pages("1h", [(10 * HOUR, 12 * HOUR)], 1000)
    assert pages.answer(pages.next(), [0, 50 * HOUR]) == (10 * HOUR, 12 * HOUR)


@pytest.mark.parametrize("interval", ["1m", "15m", "1h", "3h", "1d"])
@given(now=st.integers(0, 60 * DAY))
def test_what_opens_before_the_settled_instant_has_closed(interval, now):
    edge = settled(now, interval)
    assert bar_end(moved(edge, interval, -1), interval) <= now < bar_end(edge, interval)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)), st.integers(0, 40))
def test_weeks_and_months_have_closed_whatever_day_they_begin_on(now, back):
    now_ns = to_ns(now.replace(tzinfo=UTC))
    for interval in ("1w", "1M"):
        edge = settled(now_ns, interval)
        midnight = edge - DAY - back * DAY
        assert moved(midnight, interval, 1) <= now_ns


def test_a_week_that_closed_at_midnight_has_settled():
    monday = parse_time("2026-09-28")
    assert settled(monday, "1w") > parse_time("2026-09-21")
    assert settled(monday - 1, "1w") <= parse_time("2026-09-21")
    assert settled(parse_time("2026-10-01"), "1M") > parse_time("2026-09-01")


@given(st.integers(0, 50 * 365), st.integers(-30, 30))
def test_moving_months_there_and_back_loses_no_first_of_the_month(day, bars):
    first = to_ns(datetime.fromtimestamp(day * 86400, UTC).replace(day=1))
    if bars >= 0 or day > 1000:
        assert moved(moved(first, "1M", bars), "1M", -bars) == first
    assert moved(first, "1M", 1) == bar_end(first, "1M")


def test_a_month_from_its_31st_ends_on_the_last_day_of_the_next():
    assert moved(parse_time("2024-01-31"), "1M", 1) == parse_time("2024-02-29")


def test_buckets_are_the_bars_that_may_open():
    assert buckets(0, 10 * HOUR, "1h") == 10
    assert buckets(1, 10 * HOUR, "1h") == 9
    assert buckets(HOUR // 2, 10 * HOUR + 1, "1h") == 10
    assert buckets(0, 6 * HOUR, "3h", HOUR) == 2
    assert buckets(parse_time("2024-01-01"), parse_time("2025-01-01"), "1M") == 12
    assert buckets(parse_time("2024-01-02"), parse_time("2024-02-01"), "1M") == 0
