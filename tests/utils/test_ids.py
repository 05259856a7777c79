"""Ids say when, what and which way, and are the same for the same decision."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cq.utils import ids
from cq.utils.time import parse_time

decisions = st.tuples(
    st.text("abcdef0123456789", min_size=1, max_size=8),
    st.integers(0, 4 * 10**18),
    st.sampled_from(["BTC-BRL", "ETH-BRL", "SOL-BRL"]),
    st.sampled_from(["buy", "sell"]),
)


def test_an_id_begins_with_date_symbol_and_side() -> None:
    decided = parse_time("2026-01-31T23:59")
    assert ids.client_id("s", decided, "BTC-BRL", "buy").startswith("20260131BTC-BRLbuy")


def test_an_id_is_short_plain_and_always_of_the_same_length() -> None:
    found = ids.client_id("a session", 0, "BTC-BRL", "sell")
    assert len(found) == len("19700101BTC-BRLsell") + ids.NONCE_LENGTH
    assert found.replace("-", "").isalnum()


@given(decisions)
def test_the_same_decision_always_gives_the_same_id(decision: tuple[str, int, str, str]) -> None:
    assert ids.client_id(*decision) == ids.client_id(*decision)


@given(st.lists(decisions, unique=True, max_size=30))
def test_no_two_decisions_share_an_id(found: list[tuple[str, int, str, str]]) -> None:
    assert len({ids.client_id(*one) for one in found}) == len(found)


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert ids.digest({"a": 1, "b": 2}) == ids.digest({"b": 2, "a": 1})
    assert ids.digest({"a": 1}) != ids.digest({"a": 2})
