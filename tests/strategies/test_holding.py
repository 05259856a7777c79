"""Whether a position is held, against a loop that remembers events."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cq.strategies.holding import fresh, held, looked_back


def by_hand(events, most, caps=None):
    """Bar by bar: the newest event of `most` bars decides whether an entry is a new one."""
    found, since, cap = [], None, most
    for now, event in enumerate(events):
        before = next((e for e in reversed(events[max(0, now - most) : now]) if e), None)
        if event == "out":
            since = None
        elif event == "in" and before != "in":
            since, cap = now, min(most, caps[now] if caps else most)
        found.append(since is not None and now - since < cap)
    return found


def in_polars(events, most, caps=None):
    frame = pl.DataFrame(
        {"event": events, "cap": caps or [most] * len(events)},
        schema={"event": pl.String, "cap": pl.Int64},
    )
    enter, leave = pl.col("event") == "in", pl.col("event") == "out"
    begins = fresh(enter, leave, most)
    cap = None if caps is None else pl.col("cap")
    return frame.select(held(begins, leave, most, cap)).to_series().to_list()


EVENTS = st.lists(st.sampled_from([None, None, None, "in", "out"]), min_size=1, max_size=60)


@given(EVENTS, st.integers(2, 9), st.data())
def test_a_position_is_held_as_a_loop_would_hold_it(events, most, data):
    assert in_polars(events, most) == by_hand(events, most)
    caps = data.draw(st.lists(st.integers(1, 12), min_size=len(events), max_size=len(events)))
    assert in_polars(events, most, caps) == by_hand(events, most, caps)


@given(EVENTS, st.integers(2, 9))
def test_older_events_than_are_looked_back_on_change_nothing(events, most):
    whole = in_polars(events, most)
    for end in range(looked_back(most), len(events) + 1):
        assert in_polars(events[end - looked_back(most) : end], most)[-1] == whole[end - 1]


def test_a_second_entry_prolongs_nothing_and_what_ran_out_needs_a_leave_first():
    assert in_polars(["in", None, "in", None, "in", None, None], 3) == [True] * 3 + [False] * 4
    assert in_polars(["in", None, None, None, "out", "in"], 3)[-1]
