import json
from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.listing import (
    Listing,
    listings_from,
    question,
    size_decimals,
)

D = Decimal


def one(**arrays):
    return listings_from(json.dumps({"symbol": ["BTC-BRL"], **arrays}))["BTC-BRL"]


def ticks(minmovement, pricescale):
    return one(minmovement=[minmovement], pricescale=[pricescale])


def test_the_recorded_listing_reads_as_the_reference_says(shared):
    path = shared / "mercado_bitcoin/fixtures/rest_v4/symbols_BTC-BRL_202301.json"
    assert listings_from(path.read_bytes()) == {
        "BTC-BRL": Listing(
            symbol="BTC-BRL",
            base="BTC",
            quote="BRL",
            description="Bitcoin",
            kind="CRYPTO",
            is_listed=True,
            is_traded=True,
            tick_stated=D(1),
            tick_scaled=D("0.00000001"),
            withdrawal_fee=D("0.0004"),
            withdraw_minimum=D("0.001"),
            deposit_minimum=D("0.00001"),
            timezone="America/Sao_Paulo",
            session="24x7",
        )
    }


def test_rows_are_found_by_symbol_in_whatever_order_they_come():
    arrays = {"symbol": ["ETH-BRL", "BTC-BRL"], "min-cost": ["2.50", "0.90"], "currency": None}
    there = listings_from(json.dumps(arrays))
    back = listings_from(
        json.dumps({name: values and values[::-1] for name, values in arrays.items()})
    )
    assert there == back
    assert list(there) == ["BTC-BRL", "ETH-BRL"]
    assert (there["ETH-BRL"].min_cost, there["ETH-BRL"].quote) == (D("2.50"), "BRL")


def test_what_is_absent_or_null_says_nothing():
    bare = one(**{"min-price": [None], "type": [None], "exchange-traded": ["yes"]})
    assert bare == Listing("BTC-BRL", "BTC", "BRL")


@pytest.mark.parametrize("name", ["min-price", "max-price", "min-volume", "max-volume"])
@pytest.mark.parametrize("text", ["228768.243775", "0.00000150", "1000000", "1e-8"])
def test_bounds_keep_their_digits(name, text):
    values = [getattr(one(**{name: [text]}), each.name) for each in fields(Listing)]
    assert D(text) in values
    assert text in [str(value) for value in values] or "e" in text


@pytest.mark.parametrize(
    ("minmovement", "pricescale", "found"),
    [
        ("0.00000001", 100000000, (D("1e-8"), D("1e-16"))),
        ("1", 100000000, (D(1), D("1e-8"))),
        ("1", 1, (D(1),)),
        (1, "100", (D(1), D("0.01"))),
        ("0", 100, ()),
        ("1", 0, (D(1),)),
        (None, 100, ()),
        ("x", 100, ()),
    ],
)
def test_both_readings_of_the_tick_are_kept_coarsest_first(minmovement, pricescale, found):
    assert ticks(minmovement, pricescale).ticks == found


@pytest.mark.parametrize(
    ("prices", "step"),
    [
        (["485685.00000000", "485686"], D(1)),
        (["117223.32117", "117200"], D("1e-8")),
        ([], None),
    ],
)
def test_prices_of_a_book_decide_between_the_readings(prices, step):
    assert ticks("1", 10**8).price_step(map(D, prices)) == step


def test_prices_may_be_the_floats_of_a_frame():
    assert ticks("1", 10**8).price_step([485685.0, 485686.0]) == D(1)
    assert ticks("1", 10**8).price_step([117223.32117, 117200.0]) == D("1e-8")


def test_where_prices_keep_no_reading_their_own_decimals_are_the_step():
    assert ticks("1", 1).price_step([D("5.2408"), D("5.30")]) == D("0.0001")
    assert one().price_step([D("1200")]) == D(100)


def test_a_single_reading_needs_no_prices():
    assert ticks("1", 1).price_step([]) == D(1)


@pytest.mark.parametrize(
    ("lot", "decimals"),
    [
        ("0.00001", 5),
        (0.00001, 5),
        ("0.00000001", 8),
        ("1", 0),
        (1, 0),
        ("1.00000000", 0),
        ("100000000", 8),
        (8, 8),
        ("0", None),
        ("-1", None),
        ("0.5", None),
        ("2.5", None),
        ("99", None),
        (None, None),
        ("soon", None),
        (True, None),
        ([1], None),
        ({"a": 1}, None),
    ],
)
def test_a_lot_is_read_whatever_its_type(lot, decimals):
    assert size_decimals(lot) == decimals
    assert one(**{"round-lot": [lot]}).size_decimals == decimals


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<html>", "not JSON"),
        ("[]", "no array symbol"),
        ("{}", "no array symbol"),
        ('{"symbol":"BTC-BRL"}', "no array symbol"),
        ('{"symbol":["A-B"],"currency":[]}', "differ in length"),
    ],
)
def test_what_is_no_listing_is_worth_another_try_and_says_why(body, problem):
    with pytest.raises(Unreadable, match=problem):
        listings_from(body)


def test_a_row_without_a_symbol_is_no_market():
    assert list(listings_from('{"symbol":[null,"","A-B"]}')) == ["A-B"]


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(
    st.dictionaries(
        st.sampled_from(["minmovement", "pricescale", "round-lot", "min-cost", "type"]),
        st.lists(JSON, min_size=1, max_size=1),
    )
)
def test_whatever_the_values_a_market_is_read(arrays):
    assert one(**arrays).base == "BTC"


def test_some_markets_or_all_are_asked_for():
    assert question().params == {}
    assert question(["BTC-BRL", "LTC-BRL"]).params == {"symbols": "BTC-BRL,LTC-BRL"}
    assert question().endpoint == "symbols"
    with pytest.raises(UsageError, match="did you mean BTC-BRL"):
        question(["btc-brl"])
