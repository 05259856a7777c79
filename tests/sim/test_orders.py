from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.sim.orders import ALPHABET, NEXT, Ask, Execution, Ids, Order, Status, ulid

ASK = Ask("buy", "limit", Decimal(10), Decimal(100))
ORDER = Order("A", 1, "me", "BTC-BRL", ASK, 0, 0, Decimal(10))
EVENTS = {"processed", "part_filled", "filled", "cancelled"}


@pytest.mark.parametrize("status", Status)
def test_an_event_leads_where_the_table_says_or_cannot_happen(status):
    order = replace(ORDER, status=status)
    for event in EVENTS:
        if event in NEXT[status]:
            assert order.after(event, 5).status is NEXT[status][event]
        else:
            with pytest.raises(KeyError):
                order.after(event, 5)


def test_filled_and_cancelled_are_ends():
    assert [one for one in Status if not NEXT[one]] == [Status.FILLED, Status.CANCELLED]


@given(st.lists(st.integers(0, 2**44), min_size=1, max_size=50), st.integers(0, 9))
def test_ids_rise_as_text_and_as_numbers_whatever_the_clock_does(times, seed):
    ids = Ids(seed)
    made = [ids.next(ms * 1_000_000) for ms in sorted(times)]
    assert [one for one, _ in made] == sorted({one for one, _ in made})
    assert all(len(one) == 26 and set(one) <= set(ALPHABET) for one, _ in made)
    assert [number for _, number in made] == sorted({number for _, number in made})


def test_an_id_begins_with_its_time_like_the_recorded_ones():
    recorded = "01KD94W5YJ"
    ms = sum(ALPHABET.index(letter) << 5 * place for place, letter in enumerate(recorded[::-1]))
    assert ms // 1000 == 1766612408
    assert Ids().next(ms * 1_000_000)[0].startswith(recorded)
    assert ulid(0) == "0" * 26


def test_the_same_seed_gives_the_same_ids():
    assert Ids(3).next(10**18) == Ids(3).next(10**18) != Ids(4).next(10**18)


@given(st.lists(st.decimals("0.00000001", 5, places=8), min_size=1, max_size=20))
def test_an_order_in_many_parts_pays_what_it_pays_in_one(sizes):
    price, rate = Decimal("5.1237"), Decimal("0.0031")
    whole = replace(ORDER, qty=sum(sizes), status=Status.WORKING)
    value, fee = whole.value_of(price, whole.qty), whole.fee_of(whole.qty, rate, "up")
    order, paid, owed = whole, Decimal(0), Decimal(0)
    for size in sizes:
        part, cost = order.value_of(price, size), order.fee_of(size, rate, "up")
        fill = Execution("1", price, size, part, cost, rate, "maker", 0)
        order, paid, owed = order.with_fill(fill), paid + part, owed + cost
    assert (paid, owed, order.fee) == (value, fee, fee)
    assert order.status is Status.FILLED


def test_the_average_weighs_by_size():
    order = replace(ORDER, status=Status.WORKING)
    for price, size in ((100, 1), (103, 2)):
        order = order.with_fill(
            Execution("1", Decimal(price), Decimal(size), *[Decimal(0)] * 3, "taker", 0)
        )
    assert order.average == 102
    assert order.left == 7
    assert order.status is Status.WORKING
