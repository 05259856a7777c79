"""Intervals, stamps and typed dates."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.utils.time import (
    DAY,
    HOUR,
    MINUTE,
    bar_end,
    bars_per_year,
    from_ns,
    interval_ns,
    is_over,
    iso,
    parse_time,
    to_ns,
)

MOMENTS = st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("interval", "length"),
    [("1m", MINUTE), ("15m", 15 * MINUTE), ("3h", 3 * HOUR), ("1d", DAY), ("1w", 7 * DAY)],
)
def test_an_interval_has_its_length(interval, length):
    assert interval_ns(interval) == length


@pytest.mark.parametrize("text", ["", "h", "0m", "1x", "1 h", "-1h", "1H", "2M", 60, None])
def test_what_is_no_interval_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="expected a number and m, h, d or w"):
        interval_ns(text)


@pytest.mark.parametrize(
    ("now", "over"), [(99, True), (100, False), (109, False), (110, True), (1_000, True)]
)
def test_a_wait_is_over_after_its_length_or_when_the_clock_goes_back(now, over):
    assert is_over(100, 10, now) is over


def test_a_year_has_8760_hours_and_12_months():
    assert bars_per_year("1h") == 8760
    assert bars_per_year("1M") == 12


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("2024-02-01", "2024-03-01"),
        ("2023-12-01", "2024-01-01"),
        ("2024-11-01", "2024-12-01"),
        ("2024-02-01T03:00", "2024-03-01T03:00"),
        ("2023-12-15T12:00", "2024-01-15T12:00"),
        ("2023-01-31", "2023-02-28"),
        ("2023-02-28", "2023-03-31"),
        ("2024-01-30", "2024-02-29"),
        ("2023-11-30T23:00", "2023-12-31T23:00"),
    ],
)
def test_a_month_ends_where_the_next_begins(opened, closed):
    assert bar_end(parse_time(opened), "1M") == parse_time(closed)


def test_an_hour_ends_an_hour_later():
    assert bar_end(0, "1h") == HOUR


@given(MOMENTS)
def test_a_moment_survives_the_way_to_nanoseconds_and_back(moment):
    assert from_ns(to_ns(moment)) == moment
    assert parse_time(iso(to_ns(moment))) == to_ns(moment)


def test_iso_keeps_nineteen_digits():
    assert iso(1790138993451242856) == "2026-09-23T04:49:53.451242856Z"


def test_a_bare_date_is_midnight_in_the_named_zone():
    assert parse_time("2026-01-31") == to_ns(datetime(2026, 1, 31, tzinfo=UTC))
    assert parse_time("2026-01-31", "America/Sao_Paulo") == parse_time("2026-01-31T03:00Z")


def test_an_offset_wins_over_the_named_zone():
    assert parse_time("2026-01-31T00:00-03:00", "UTC") == parse_time("2026-01-31T03:00Z")


def test_what_is_no_date_is_refused_with_the_form():
    with pytest.raises(UsageError, match="'yesterday' is not a date; expected YYYY-MM-DD"):
        parse_time("yesterday")


def test_a_year_has_four_digits():
    assert iso(parse_time("0001-01-01")) == "0001-01-01T00:00:00Z"
