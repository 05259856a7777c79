"""The table of an order's life, walked from end to end."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.execution.orders import EVENTS, NEXT, OVER, IllegalTransition, Order, Status, exact

BUY = Order("id", "BTC-BRL", "buy", Decimal("0.1"), Decimal(100), 1.0, 1, 2)

# Written out by hand, so that a change of the table is a change of a fact.
LIFE = {
    ("new", "accepted"): "open",
    ("new", "rejected"): "rejected",
    ("new", "timed_out"): "unknown",
    ("new", "part_filled"): "partial",
    ("new", "filled"): "filled",
    ("unknown", "accepted"): "open",
    ("unknown", "rejected"): "rejected",
    ("unknown", "canceled"): "canceled",
    ("unknown", "part_filled"): "partial",
    ("unknown", "filled"): "filled",
    ("open", "canceled"): "canceled",
    ("open", "timed_out"): "unknown",
    ("open", "part_filled"): "partial",
    ("open", "filled"): "filled",
    ("partial", "canceled"): "canceled",
    ("partial", "timed_out"): "unknown",
    ("partial", "part_filled"): "partial",
    ("partial", "filled"): "filled",
    ("canceled", "part_filled"): "canceled",
    ("canceled", "filled"): "filled",
}


def in_status(status: Status) -> Order:
    return Order("id", "BTC-BRL", "buy", Decimal(1), Decimal(1), 1.0, 1, 2, status)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("event", EVENTS)
def test_every_pair_of_status_and_event_is_in_the_table_or_refused(
    status: Status, event: str
) -> None:
    expected = LIFE.get((status.value, event))
    if expected is None:
        with pytest.raises(IllegalTransition, match=f"id is {status} and cannot be {event}"):
            in_status(status).after(event)
    else:
        assert in_status(status).after(event).status == expected


def test_the_table_has_a_row_for_every_status() -> None:
    assert set(NEXT) == set(Status)


def test_an_unheard_of_event_is_refused() -> None:
    with pytest.raises(IllegalTransition):
        BUY.after("vanished")


def test_filled_and_rejected_are_the_end() -> None:
    assert [status for status in Status if not NEXT[status]] == [Status.FILLED, Status.REJECTED]
    assert Status.FILLED in OVER
    assert Status.UNKNOWN not in OVER


def test_an_order_is_never_changed_in_place() -> None:
    assert BUY.after("filled").status == Status.FILLED
    assert BUY.status == Status.NEW


@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_no_sequence_of_events_leaves_the_statuses_known(events: list[str]) -> None:
    order = BUY
    for event in events:
        try:
            order = order.after(event)
        except IllegalTransition as refused:
            assert refused.event not in NEXT[order.status]  # noqa: PT017
    assert order.status in Status


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_exact_decimals_give_the_float_back_to_the_bit(value: float) -> None:
    assert float(exact(value)).hex() == value.hex()


def test_the_accounts_order_has_the_same_numbers() -> None:
    assert (BUY.sized().qty, BUY.sized().reference, BUY.sized().side) == (0.1, 100.0, "buy")
