import json
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.trades import after, between, newest, trades_from
from cq.lake.datasets import TRADES
from cq.utils.time import SECOND

ONE = {"amount": "0.5", "date": 1766587092, "price": "479500.0", "tid": 7, "type": "sell"}


def reply(*changes):
    return json.dumps([ONE | change for change in changes])


def read(body):
    return trades_from(body, "BTC-BRL")


def test_the_recorded_reply_without_parameters_reads_as_the_reference_says(shared):
    name = "trades_BTC-BRL_noparams_first3_20251224_par.json"
    rows = read((shared / "mercado_bitcoin/fixtures/rest_v4" / name).read_bytes())
    who = ("BTC-BRL", "mercadobitcoin")
    assert rows.rows() == [
        (1766587092 * SECOND, 479500.0, 0.01383028, "sell", "21425786", *who),
        (1766587092 * SECOND, 479500.0, 0.01649334, "sell", "21425787", *who),
        (1766587098 * SECOND, 479321.0, 0.02127630, "sell", "21425788", *who),
    ]


def test_a_reply_that_came_newest_first_is_turned_around(shared):
    name = "trades_BTC-BRL_limit50_first3_20251119.json"
    rows = read((shared / "mercado_bitcoin/fixtures/rest_v4" / name).read_bytes())
    assert rows["trade_id"].to_list() == ["21259636", "21259637", "21259638"]
    assert rows["side"].to_list() == ["buy"] * 3
    assert rows["ts"].is_sorted()


def test_the_rows_are_the_lakes():
    assert dict(read(reply({})).schema) == dict(TRADES.schema)
    assert dict(read("[]").schema) == dict(TRADES.schema)


def test_ids_are_sorted_as_numbers_and_each_is_there_once():
    rows = read(reply({"tid": 10}, {"tid": 9}, {"tid": 10}))
    assert rows["trade_id"].to_list() == ["9", "10"]


@given(st.decimals(min_value=Decimal("0.00000001"), max_value=10**9, places=8))
def test_a_price_is_rounded_once_whether_it_is_a_string_or_a_number(price):
    text = f"{price:f}"
    as_number = reply({"price": "@"}).replace('"@"', text)
    assert read(reply({"price": text})).equals(read(as_number))
    assert read(as_number)["price"].item() == float(price)


@pytest.mark.parametrize("text", ["117200", "0.0256", "1e-8", "485685.00000000", "7", " 7 "])
def test_prices_and_sizes_have_any_width(text):
    rows = read(reply({"price": text, "amount": text}))
    assert rows.select("price", "size").row(0) == (float(text), float(text))


def test_an_id_of_19_digits_stays_itself():
    assert read(reply({"tid": 9007199254740993123}))["trade_id"].item() == "9007199254740993123"


def test_a_price_that_is_no_number_is_null_and_left_to_the_rules_of_the_lake():
    assert read(reply({"price": "x"}, {"tid": 8}))["price"].to_list() == [None, 479500.0]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<html>hello</html>", "no JSON array"),
        ("", "no JSON array"),
        ("null", "no JSON array"),
        ('{"code":"X","message":"y"}', "no JSON array"),
        (b"\xff\xfe[", "not JSON"),
        ('[{"tid":17', "not JSON"),
        ("[1]", "not JSON"),
        ("[[1]]", "not JSON"),
        ("[null]", "tid"),
        (reply({"tid": None}), "tid"),
        (reply({"tid": "soon"}), "tid"),
        (reply({"date": 1766587092000}), "whole seconds"),
        (reply({"date": None}), "whole seconds"),
        (reply({"date": "1766587092.5"}), "whole seconds"),
    ],
)
def test_what_is_no_reply_of_trades_is_worth_another_try_and_says_why(body, problem):
    with pytest.raises(Unreadable, match=problem):
        read(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(JSON | st.lists(st.fixed_dictionaries(dict.fromkeys(ONE, JSON)), max_size=3))
def test_any_other_json_is_rows_or_unreadable_and_nothing_else(said):
    try:
        rows = read(json.dumps(said))
    except Unreadable:
        return
    assert dict(rows.schema) == dict(TRADES.schema)
    assert not rows["trade_id"].null_count()


def test_a_window_is_asked_for_a_second_wider_at_both_ends():
    asked = between("BTC-BRL", 100 * SECOND, 200 * SECOND)
    assert asked.path == "/BTC-BRL/trades"
    assert asked.params == {"from": 99, "to": 200, "limit": 1000}
    assert between("BTC-BRL", 0, SECOND + 1).params == {"from": 0, "to": 2, "limit": 1000}


def test_ids_are_asked_for_by_the_parameter_that_was_named():
    assert after("BTC-BRL", 7).params == {"since": 7, "limit": 1000}
    assert after("BTC-BRL", 7, "tid").params == {"tid": 7, "limit": 1000}
    assert newest("BTC-BRL", 3).params == {"limit": 3}
    assert newest("BTC-BRL").endpoint == "trades"


@pytest.mark.parametrize("symbol", ["btc-brl", "BTCBRL", "BTC/BRL", "../x-y"])
def test_a_symbol_that_would_lead_elsewhere_is_not_asked_for(symbol):
    with pytest.raises(UsageError, match="BASE-QUOTE"):
        newest(symbol)


def test_a_reply_of_a_thousand_is_read_in_columns():
    rows = read(reply(*({"tid": number} for number in range(1000, 0, -1))))
    assert rows.height == 1000
    assert rows["trade_id"].cast(pl.Int64).is_sorted()
