import json

import pytest

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.books import book_from, question
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.lake import rules
from cq.lake.datasets import ORDERBOOK_L2


def read(body, **options):
    text = json.dumps(body) if isinstance(body, dict) else body
    return book_from(text, "BTC-BRL", **options)


def levels(rows, side):
    return [(level["price"], level["size"]) for level in rows[side].item()]


def fixture(shared, name):
    return (shared / "mercado_bitcoin/fixtures/rest_v4" / name).read_bytes()


def test_the_book_of_2023_reads_as_the_reference_says(shared):
    rows = read(fixture(shared, "orderbook_BTC-BRL_2levels_202301.json"))
    assert levels(rows, "asks") == [(117275.49879111, 0.0256), (117532.16627745, 0.01449)]
    assert levels(rows, "bids") == [(117223.32117, 0.00001177), (117200.0, 0.00002)]
    assert rows["ts"].item() is None


def test_an_empty_market_is_a_book_of_two_empty_sides_with_its_stamp(shared):
    rows = read(fixture(shared, "orderbook_CLV-BRL_empty_20260923.json"))
    assert levels(rows, "asks") == levels(rows, "bids") == []
    assert rows["ts"].item() == 1790138993451242856
    assert rules.keeps(rows, ORDERBOOK_L2.rules).all()


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("orderbook_BTC-BRL_asks_head_20251224_par.json", 7, (486123.0, 0.02099975)),
        ("orderbook_BTC-BRL_limit50_asks_head_20251119.json", 8, (488898.0, 0.00535337)),
    ],
)
def test_heads_of_recorded_books_read_with_the_side_that_was_kept(shared, name, count, first):
    body = json.loads(fixture(shared, name)) | {"bids": []}
    found = levels(read(body), "asks")
    assert len(found) == count
    assert found[0] == first
    assert [price for price, _ in found] == sorted(price for price, _ in found)


def test_both_sides_are_sorted_here_whatever_the_reply_did():
    pairs = [["2", "1"], ["10", "1"], ["9", "1"]]
    rows = read({"asks": pairs, "bids": pairs, "timestamp": 1790138993451242856})
    assert [price for price, _ in levels(rows, "asks")] == [2, 9, 10]
    assert [price for price, _ in levels(rows, "bids")] == [10, 9, 2]


def test_levels_are_text_or_numbers_of_any_width_and_cut_after_they_are_sorted():
    rows = read('{"asks":[[3,0.5],["1e0","7"]],"bids":[[0.1,2]],"timestamp":null}', depth=1)
    assert levels(rows, "asks") == [(1.0, 7.0)]
    assert levels(rows, "bids") == [(0.1, 2.0)]


def test_the_row_is_the_lakes():
    assert dict(read({"asks": [], "bids": [["1", "1"]]}).schema) == dict(ORDERBOOK_L2.schema)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<html>", "not JSON"),
        ("[]", "no asks and bids"),
        ('{"asks":[]}', "no asks and bids"),
        ('{"asks":5,"bids":[]}', "no pairs"),
        ('{"asks":[["1"]],"bids":[]}', "no pairs"),
        ('{"asks":[{"price":1}],"bids":[]}', "no pairs"),
        ('{"asks":[["x","1"]],"bids":[]}', "no numbers"),
        ('{"asks":[[null,"1"]],"bids":[]}', "no numbers"),
        ('{"asks":[],"bids":[],"timestamp":1790138993}', "not in nanoseconds"),
        ('{"asks":[],"bids":[],"timestamp":1.79e18}', "not in nanoseconds"),
        ('{"asks":[],"bids":[],"timestamp":"soon"}', "not in nanoseconds"),
    ],
)
def test_what_is_no_book_is_worth_another_try_and_says_why(body, problem):
    with pytest.raises(Unreadable, match=problem):
        read(body)


def test_the_depth_is_always_sent_and_within_what_the_exchange_takes():
    asked = question("BTC-BRL", 20)
    assert (asked.endpoint, asked.path) == ("orderbook", "/BTC-BRL/orderbook")
    assert asked.params == {"limit": 20}
    for depth in (0, -1, 1001):
        with pytest.raises(UsageError, match="1 to 1000"):
            question("BTC-BRL", depth)
