from hypothesis import given
from hypothesis import strategies as st

from cq.exchanges.mercado_bitcoin import Rest
from cq.exchanges.mercado_bitcoin.clock import FORGET_NS, ExchangeClock
from cq.utils.time import HOUR, MINUTE, SECOND, parse_time

NOW = parse_time("2026-09-27T10:00:00.4")
MS = SECOND // 1000


def date_of(moment_ns):
    """What the `Date` of a reply says: whole seconds."""
    return moment_ns // SECOND * SECOND


def test_nothing_is_known_before_the_first_stamp():
    assert ExchangeClock().offset_ns is None


def test_a_date_is_a_lower_bound():
    clock = ExchangeClock()
    clock.note_date(date_of(NOW), NOW - 50 * MS, NOW)
    assert clock.offset_ns == -400 * MS


def test_a_stamp_of_the_book_is_nearer():
    clock = ExchangeClock()
    clock.note_date(date_of(NOW), NOW - 50 * MS, NOW)
    clock.note_time(NOW - 60 * MS, NOW)
    assert clock.offset_ns == -60 * MS
    clock.note_date(date_of(NOW), NOW - 50 * MS, NOW + 300 * MS)
    assert clock.offset_ns == -60 * MS


def test_an_old_stamp_changes_nothing():
    clock = ExchangeClock()
    clock.note_time(NOW - 60 * MS, NOW)
    clock.note_time(NOW - HOUR, NOW)
    assert clock.offset_ns == -60 * MS


def test_a_stamp_that_the_date_contradicts_is_not_believed():
    clock = ExchangeClock()
    clock.note_date(date_of(NOW), NOW - 50 * MS, NOW)
    clock.note_time(NOW + HOUR, NOW)
    assert clock.offset_ns == -400 * MS


def test_garbage_that_came_first_is_taken_back_by_the_next_date():
    clock = ExchangeClock()
    clock.note_time(NOW + HOUR, NOW)
    assert clock.offset_ns == HOUR
    clock.note_date(date_of(NOW), NOW - 50 * MS, NOW)
    assert clock.offset_ns == -400 * MS


def test_a_clock_that_was_set_is_followed():
    clock = ExchangeClock()
    clock.note_date(date_of(NOW), NOW, NOW)
    for jump in (-HOUR, 2 * HOUR):
        clock.note_date(date_of(NOW) + jump, NOW, NOW)
        assert clock.offset_ns == jump - 400 * MS


def test_ours_set_back_is_followed_too():
    clock = ExchangeClock()
    clock.note_date(date_of(NOW), NOW, NOW)
    clock.note_date(date_of(NOW), NOW - HOUR, NOW - HOUR)
    assert clock.offset_ns == HOUR - 400 * MS


def test_what_was_said_is_forgotten_in_the_end():
    clock = ExchangeClock()
    clock.note_time(NOW, NOW)
    for step in range(1, 4):
        clock.note_time(NOW + step * FORGET_NS - 80 * MS, NOW + step * FORGET_NS)
    assert clock.offset_ns == -80 * MS


def test_without_news_the_last_word_stays():
    clock = ExchangeClock()
    clock.note_time(NOW, NOW)
    clock.note_time(NOW + 10 * HOUR - 90 * MS, NOW + 10 * HOUR)
    assert clock.offset_ns is not None


@given(
    st.integers(-HOUR, HOUR),
    st.lists(
        st.tuples(st.booleans(), st.integers(0, MINUTE), st.integers(1, 900 * MS)), min_size=1
    ),
)
def test_it_is_never_late_and_never_more_than_a_second_behind(offset, messages):
    clock, now = ExchangeClock(), NOW
    for dated, pause, way in messages:
        now += pause
        written = now + offset
        if dated:
            clock.note_date(date_of(written), now - way, now + way)
        else:
            clock.note_time(written, now + way)
        now += way
        assert offset - SECOND - 900 * MS <= clock.offset_ns <= offset


def test_the_shell_tells_the_exchanges_time(locked):
    with Rest(locked.ingestion(), clock=lambda: NOW) as rest:
        assert rest.time_ns() == NOW
        rest.note_time(NOW + 5 * SECOND)
        assert rest.offset_ns == 5 * SECOND
        assert rest.time_ns() == NOW + 5 * SECOND
