from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.ingest.stamps import UNITS, Stamp, interval_of_step, most_common_step, nanoseconds
from cq.utils.time import DAY, HOUR, MINUTE, parse_time

SECOND = 1_700_000_000
S = pl.Series


def read(values, stamp=None, timezone="UTC"):
    return nanoseconds(S(values), stamp or Stamp(), timezone)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (SECOND, "epoch s"),
        (SECOND * 10**3, "epoch ms"),
        (SECOND * 10**6, "epoch µs"),
        (SECOND * 10**9, "epoch ns"),
    ],
)
def test_the_unit_is_told_by_magnitude_from_numbers_and_from_text(value, said):
    for written in (value, str(value)):
        stamps = read([written, None])
        assert stamps.ts.to_list() == [SECOND * 10**9, None]
        assert stamps.said == said


def test_units_may_change_within_a_file_and_it_is_said():
    stamps = read([SECOND, SECOND * 1000, None, SECOND * 1000 + 1])
    assert stamps.ts.to_list() == [
        SECOND * 10**9,
        SECOND * 10**9,
        None,
        SECOND * 10**9 + 10**6,
    ]
    assert stamps.said == "epoch s (1 rows) and ms (2 rows)"


def test_nineteen_digits_never_pass_through_a_float():
    assert read(["1723161253937085769"]).ts.to_list() == [1723161253937085769]
    assert read([1723161253937085769]).ts.to_list() == [1723161253937085769]


def test_fractions_of_a_second_are_kept():
    assert read(["1618677817.020616"]).ts.to_list() == [1618677817020616000]
    assert read([1618677817.5]).ts.to_list() == [1618677817500000000]
    assert read(["1618677817.1234567"], Stamp(unit="s")).ts.to_list() == [1618677817123456700]


@given(st.integers(10**9, 4 * 10**9), st.sampled_from(sorted(UNITS)))
def test_a_stated_unit_is_exact(seconds, unit):
    value = seconds * 10**9 // UNITS[unit]
    for written in (value, str(value)):
        assert read([written], Stamp(unit=unit)).ts.to_list() == [seconds * 10**9]


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2019-10-17", "2019-10-17T00:00:00"),
        ("2019-10-17 09-AM", "2019-10-17T09:00:00"),
        ("2019-10-17 12-PM", "2019-10-17T12:00:00"),
        ("2019-10-17 12-AM", "2019-10-17T00:00:00"),
        ("2019-10-17T09:30", "2019-10-17T09:30:00"),
        ("2019-10-17 09:30:15.250", "2019-10-17T09:30:15.250"),
        ("2019-10-17T09:30:15Z", "2019-10-17T09:30:15"),
        ("2019-10-17 09:30:15+02:00", "2019-10-17T07:30:15"),
        ("2019-10-17 09:30:15 +0200", "2019-10-17T07:30:15"),
        ("2019-10-17 09:30:15 UTC", "2019-10-17T09:30:15"),
        ("2019/10/17 09:30", "2019-10-17T09:30:00"),
        ("20191017 09:30", "2019-10-17T09:30:00"),
    ],
)
def test_text_with_the_year_first_is_understood(text, iso):
    assert read([text]).ts.to_list() == [parse_time(iso)]


@pytest.mark.parametrize("text", ["01/02/2019", "17.10.2019", "yesterday", "2019-13-01", "", "  "])
def test_other_text_is_unreadable_not_guessed(text):
    assert read([text, "2019-10-17"]).ts.to_list()[0] is None


def test_forms_may_be_mixed_row_by_row():
    stamps = read(["2019-10-17", "2019-10-17T09:30:15Z", "no", "2019-10-17 09:30"])
    assert stamps.ts.null_count() == 1
    assert "UTC offsets" in stamps.said


def test_days_as_numbers_are_days():
    stamps = read([20191017, 20191018])
    assert stamps.ts.to_list() == [parse_time("2019-10-17"), parse_time("2019-10-18")]
    assert stamps.said == "days as YYYYMMDD"
    assert read(["20191017"]).ts.to_list() == [parse_time("2019-10-17")]


def test_a_zone_is_of_stamps_that_name_none():
    zone = "America/Sao_Paulo"
    assert read(["2021-02-01"], timezone=zone).ts.to_list() == [parse_time("2021-02-01T03:00")]
    assert read(["2021-02-01T00:00Z"], timezone=zone).ts.to_list() == [parse_time("2021-02-01")]
    assert read([SECOND], timezone=zone).ts.to_list() == [SECOND * 10**9]


def test_a_day_whose_midnight_the_clock_skipped_starts_when_it_starts():
    assert read(["2018-11-04"], timezone="America/Sao_Paulo").ts.to_list() == [
        parse_time("2018-11-04T03:00")
    ]


def test_a_moment_that_came_twice_or_never_is_unreadable():
    stamps = read(
        ["2018-02-17 23:30", "2018-11-04 00:30", "2018-11-04 02:00"], timezone="America/Sao_Paulo"
    )
    assert stamps.ts.to_list() == [None, None, parse_time("2018-11-04T04:00")]


def test_a_pattern_is_followed_and_nothing_else():
    stamp = Stamp(pattern="%d/%m/%Y %H:%M", timezone="America/Sao_Paulo")
    stamps = read(["01/02/2021 10:00", "2021-02-01"], stamp)
    assert stamps.ts.to_list() == [parse_time("2021-02-01T13:00"), None]
    assert "America/Sao_Paulo" in stamps.said


def test_datetimes_and_dates_are_read_in_their_zone_or_the_given_one():
    aware = S([datetime(2021, 2, 1, tzinfo=UTC)])
    assert nanoseconds(aware, Stamp()).ts.to_list() == [parse_time("2021-02-01")]
    naive = S([datetime(2021, 2, 1)])
    assert nanoseconds(naive, Stamp(), "America/Sao_Paulo").ts.to_list() == [
        parse_time("2021-02-01T03:00")
    ]
    assert nanoseconds(naive.dt.date(), Stamp()).ts.to_list() == [parse_time("2021-02-01")]


@pytest.mark.parametrize(
    "values",
    [
        ["99999999999999999999", str(SECOND)],
        [99_999_999_999, SECOND],
        ["2023-11-14 22:13:20", "9999-12-31 00:00:00"],
        ["2023-11-14T22:13:20Z", "9999-12-31T00:00:00Z"],
        ["2023-11-14 22:13:20", "2262-04-12"],
        [datetime(2023, 11, 14, 22, 13, 20), datetime(9999, 12, 31)],
    ],
)
def test_stamps_out_of_range_are_unreadable(values):
    assert sorted(read(values).ts.drop_nulls().to_list()) == [SECOND * 10**9]
    assert read(values).ts.null_count() == 1


@pytest.mark.parametrize(
    ("values", "stamp"),
    [
        (["14/11/2023", "31/12/9999"], Stamp(pattern="%d/%m/%Y")),
        (["20231114", "99991231"], Stamp(unit="yyyymmdd")),
        ([20231114, 99991231, 20231114], Stamp()),
        ([date(2023, 11, 14), date(9999, 12, 31)], Stamp()),
        ([19675 * 86_400, 10**15], Stamp(unit="s")),
        ([19675 * 86_400.0, 1e15], Stamp(unit="s")),
    ],
)
def test_a_date_after_2262_is_never_an_old_one(values, stamp):
    ts = read(values, stamp).ts
    assert ts[0] == parse_time("2023-11-14")
    assert ts[1] is None


def test_nanoseconds_of_text_are_kept():
    for form in ("2021-02-01T10:00:00.123456789{}", "2021-02-01 10:00:00.123456789{}"):
        for zone in ("", "Z", "+00:00"):
            ts = read([form.format(zone), "2021-02-01T10:00:00"]).ts.to_list()
            assert ts[0] - ts[1] == 123_456_789
    assert read(["20231114", "0"]).ts.to_list() == [parse_time("2023-11-14"), None]


def test_from_midnight_counts_on_the_day():
    stamp = Stamp(unit="ms", day_ns=parse_time("2018-04-04"))
    assert read(["0", "60000"], stamp).ts.to_list() == [
        parse_time("2018-04-04"),
        parse_time("2018-04-04T00:01"),
    ]


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (MINUTE, "1m"),
        (15 * MINUTE, "15m"),
        (HOUR, "1h"),
        (4 * HOUR, "4h"),
        (DAY, "1d"),
        (7 * DAY, "1w"),
        (30 * DAY, "1M"),
        (28 * DAY, "1M"),
        (10**9, None),
        (90 * 10**9, None),
    ],
)
def test_a_step_has_a_name_or_none(step, name):
    assert interval_of_step(step) == name


@given(st.permutations(range(30)))
def test_the_most_common_step_ignores_order_gaps_and_repeats(order):
    ts = [n * HOUR for n in order if n not in (7, 8, 20)] * 2
    bars = pl.DataFrame({"ts": ts, "symbol": "A-B"})
    assert most_common_step(bars) == HOUR


def test_markets_are_not_mixed_when_counting_steps():
    bars = pl.DataFrame({"ts": [0, HOUR, 1, HOUR + 1], "symbol": ["A", "A", "B", "B"]})
    assert most_common_step(bars) == HOUR
    assert most_common_step(bars.head(1)) is None
