import json
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.candles import INTERVALS, candles_from, question
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.utils.time import HOUR, SECOND, parse_time

COLUMNS = ["ts", "open", "high", "low", "close", "volume"]


def reply(**columns):
    body = {"t": [], "o": [], "h": [], "l": [], "c": [], "v": []}
    return json.dumps(body | columns)


def one(price="100.00000000", t=1790503200):
    return {"t": [t], **{name: [price] for name in "ohlcv"}}


def test_the_recorded_reply_reads_as_the_reference_says(shared):
    path = shared / "mercado_bitcoin/fixtures/rest_v4/candles_BTC-BRL_1h_2bars_20260927.json"
    rows = candles_from(path.read_bytes())
    assert rows.columns == COLUMNS
    assert rows.rows() == [
        (1790503200 * SECOND, 441283.0, 442065.0, 440751.0, 441159.0, 0.73424520),
        (1790506800 * SECOND, 440990.0, 441402.0, 440863.0, 441150.0, 0.13650401),
    ]


def test_the_same_reply_on_one_line_reads_the_same(recordings, shared):
    path = shared / "mercado_bitcoin/fixtures/rest_v4/candles_BTC-BRL_1h_2bars_20260927.json"
    line = (recordings / "candles_1h.json").read_bytes()
    assert candles_from(line).equals(candles_from(path.read_bytes()))


@given(st.decimals(min_value=Decimal("0.00000001"), max_value=10**9, places=8))
def test_a_price_is_rounded_once_whether_it_is_a_string_or_a_number(price):
    text = f"{price:f}"
    as_string = candles_from(json.dumps(one(text)))
    as_number = candles_from(json.dumps(one("@")).replace('"@"', text))
    assert as_string.equals(as_number)
    assert as_string["open"].item() == float(price)


@pytest.mark.parametrize("text", ["117200", "0.0256", "1e-8", "485685.00000000", "7"])
def test_prices_have_any_width(text):
    assert candles_from(json.dumps(one(text)))["low"].item() == float(text)


def test_rows_come_oldest_first_whatever_the_order_of_the_reply():
    body = reply(t=[7200, 0, 3600], **{name: ["3", "1", "2"] for name in "ohlcv"})
    rows = candles_from(body)
    assert rows["ts"].to_list() == [0, HOUR, 2 * HOUR]
    assert rows["close"].to_list() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("body", [reply(), '{"t":null}', '{"t":[],"o":null}'])
def test_an_empty_range_is_no_rows_with_the_usual_columns(body):
    rows = candles_from(body)
    assert rows.is_empty()
    assert rows.columns == COLUMNS
    assert rows.dtypes == [pl.Int64] + 5 * [pl.Float64]


def test_a_price_that_is_no_number_is_null_and_left_to_the_rules_of_the_lake():
    rows = candles_from(reply(t=[0, 60], o=["1", "x"], h=[1, None], l=[1, 1], c=[1, 1], v=[0, 1]))
    assert rows["open"].to_list() == [1.0, None]
    assert rows["high"].to_list() == [1.0, None]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<html>hello</html>", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("", "not JSON"),
        ('{"t":[17', "not JSON"),
        ("[]", "no field t"),
        ("{}", "no field t"),
        ('{"code":"X","message":"y"}', "no field t"),
        ('{"t":5}', "no array"),
        (reply(t=[1, 2], o=["1"]), "differ in length"),
        (json.dumps({"t": [1790503200]}), "differ in length"),
        (json.dumps(one(t=1790503200000)), "whole seconds"),
        (json.dumps(one(t="soon")), "whole seconds"),
        (json.dumps(one(t=None)), "whole seconds"),
    ],
)
def test_what_is_no_candle_reply_is_worth_another_try_and_says_why(body, problem):
    with pytest.raises(Unreadable, match=problem):
        candles_from(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(st.fixed_dictionaries({name: JSON | st.lists(JSON, max_size=3) for name in "tohlcv"}))
def test_any_other_json_is_rows_or_unreadable_and_nothing_else(said):
    try:
        rows = candles_from(json.dumps(said))
    except Unreadable:
        return
    assert rows.columns == COLUMNS
    assert rows["ts"].null_count() == 0


def test_the_request_is_in_whole_seconds_with_both_ends_in_the_range():
    start, end = parse_time("2026-09-27T10:00"), parse_time("2026-09-27T12:00")
    assert question("BTC-BRL", "1h", start, end).params == {
        "symbol": "BTC-BRL",
        "resolution": "1h",
        "from": start // SECOND,
        "to": end // SECOND - 1,
    }


def test_ends_between_seconds_ask_for_no_bar_outside_the_range():
    asked = question("BTC-BRL", "1m", 10 * SECOND + 1, 20 * SECOND + 1).params
    assert (asked["from"], asked["to"]) == (11, 20)


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_documented_interval_is_asked_for_by_its_own_name(interval):
    assert question("BTC-BRL", interval, 0, HOUR).params["resolution"] == interval


@pytest.mark.parametrize(
    ("interval", "finer"), [("5m", "1m"), ("30m", "15m"), ("2h", "1h"), ("4h", "1h"), ("6h", "3h")]
)
def test_an_interval_the_exchange_lacks_names_its_set_and_the_one_to_ingest(interval, finer):
    with pytest.raises(UsageError, match=rf"1m, 15m, 1h, 3h, 1d, 1w, 1M; ingest {finer},"):
        question("BTC-BRL", interval, 0, HOUR)


def test_nonsense_is_no_interval():
    with pytest.raises(UsageError, match="is not an interval"):
        question("BTC-BRL", "hourly", 0, HOUR)
