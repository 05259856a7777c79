import json

import polars as pl
import pytest

from cq.errors import UnknownLayout
from cq.ingest.books import LAYOUTS, messages_from_levels
from cq.ingest.layouts import recognised
from cq.ingest.source import opened

BOOK, LEVELS, BBO = LAYOUTS
LATE = 1_700_000_000 * 10**9


def one(path, layout, reading, **options):
    return reading(path, layout, "orderbook_l2", **options)


def test_one_reply_is_one_book_stamped_in_nanoseconds(shared, reading):
    path = shared / "market/raw/mercadobitcoin/v3_orderbook_202102.json"
    assert recognised(opened(path), "orderbook_l2").name == "mercadobitcoin-book"
    piece = one(path, BOOK, reading, symbol="BTC-BRL")
    (book,) = piece.rows.to_dicts()
    assert book["ts"] == 1612217297706725751
    assert book["bids"][0] == {"price": 184500.0, "size": 0.11848505}
    assert book["asks"][0] == {"price": 184500.00989, "size": 0.02124547}
    assert book["exchange"] == "mercadobitcoin"


def test_strings_and_an_empty_book_are_fine(tmp_path, reading):
    path = tmp_path / "orderbook_BTC-BRL.json"
    path.write_text(json.dumps({"asks": [["11", "1"]], "bids": [["10", "2.5"]], "timestamp": LATE}))
    (book,) = one(path, BOOK, reading).rows.to_dicts()
    assert (book["symbol"], book["bids"]) == ("BTC-BRL", [{"price": 10.0, "size": 2.5}])
    path.write_text(json.dumps({"asks": [], "bids": [], "timestamp": LATE}))
    (book,) = one(path, BOOK, reading).rows.to_dicts()
    assert book["asks"] == book["bids"] == []


def test_a_book_without_a_stamp_asks_when_it_was(shared, reading):
    path = shared / "market/raw/mercadobitcoin/xchange-example-full-depth-data.json"
    with pytest.raises(UnknownLayout, match="--at TIME"):
        one(path, BOOK, reading, symbol="BTC-BRL")
    piece = one(path, BOOK, reading, symbol="BTC-BRL", at_ns=5, depth=3)
    (book,) = piece.rows.to_dicts()
    assert (book["ts"], len(book["bids"]), len(book["asks"])) == (5, 3, 3)


def test_rows_of_one_message_make_one_book(tmp_path, reading):
    path = tmp_path / "levels.csv"
    path.write_text(
        "seq,ts,side,price,size,is_snapshot,symbol,exchange\n"
        "3,1700000002,ask,11,0,false,BTCUSD,x\n"
        "0,1700000001,bid,10,1,true,BTCUSD,x\n"
        "1,1700000001,ask,11,1,true,BTCUSD,x\n"
        "2,1700000001,ask,12,1,true,BTCUSD,x\n"
    )
    frame = pl.read_csv(path)
    messages = messages_from_levels(frame)
    assert messages["ask_prices"].to_list() == [[11.0, 12.0], [11.0]]
    assert messages["bid_prices"].to_list() == [[10.0], []]


def test_levels_in_parquet_give_books_with_normalised_symbols(tmp_path, reading):
    path = tmp_path / "levels.parquet"
    pl.DataFrame(
        {
            "ts": [LATE, LATE, LATE + 1],
            "side": ["bid", "ask", "bid"],
            "price": [10.0, 11.0, 10.0],
            "size": [1.0, 1.0, 3.0],
            "is_snapshot": [True, True, False],
            "seq": [0, 1, 2],
            "symbol": ["BTCUSD"] * 3,
            "exchange": ["x"] * 3,
        }
    ).write_parquet(path)
    piece = one(path, LEVELS, reading)
    assert piece.rows["symbol"].unique().to_list() == ["BTC-USD"]
    assert piece.rows["bids"].to_list()[1] == [{"price": 10.0, "size": 3.0}]
    assert "3 rows → 2 books" in piece.notes


@pytest.mark.parametrize("words", [("true", "false"), ("True", "False"), ("1", "0")])
def test_levels_in_text_say_true_and_false_in_their_way(tmp_path, reading, words):
    full, change = words
    path = tmp_path / "levels.csv"
    path.write_text(
        "ts,is_snapshot,side,price,size,symbol,exchange\n"
        f"2023-11-14T22:13:20Z,{full},bid,10,1,BTCUSD,x\n"
        f"2023-11-14T22:13:20Z,{full},ask,11,1,BTCUSD,x\n"
        f"2023-11-14T22:13:21Z,{change},bid,10,3,BTCUSD,x\n"
        f"2023-11-14T22:13:22Z,{change},bid,10,3,BTCUSD,x,one too many\n"
    )
    piece = one(path, LEVELS, reading)
    assert piece.rows["ts"].to_list() == [LATE, LATE + 10**9]
    assert piece.rows["bids"].to_list()[1] == [{"price": 10.0, "size": 3.0}]
    assert piece.broken["broken"].to_list() == [["field_count"]]


def test_a_flag_that_is_neither_true_nor_false_is_named(tmp_path, reading):
    path = tmp_path / "levels.csv"
    path.write_text("ts,is_snapshot,side,price,size\n1700000000,perhaps,bid,10,1\n")
    with pytest.raises(UnknownLayout, match="is_snapshot holds 'perhaps'; expected true or false"):
        one(path, LEVELS, reading, symbol="BTC-USD", exchange="x")


def test_the_levels_of_tardis_are_recognised(tmp_path, reading):
    path = tmp_path / "book.csv"
    path.write_text(
        "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
        "binance,BTCUSDT,1700000000000000,1700000000100000,true,ask,11,2\n"
        "binance,BTCUSDT,1700000000000000,1700000000100000,true,bid,10,1\n"
        "binance,BTCUSDT,1700000001000000,1700000001100000,false,bid,10,0\n"
    )
    assert recognised(opened(path), "orderbook_l2").name == "levels"
    piece = one(path, LEVELS, reading)
    assert piece.rows["ts"].to_list() == [LATE, LATE + 10**9]
    assert piece.rows["bids"].to_list() == [[{"price": 10.0, "size": 1.0}], []]


def test_books_that_are_all_before_bitcoin_have_another_unit(tmp_path, reading):
    path = tmp_path / "bbo.csv"
    path.write_text("ts,bid,bid_size,ask,ask_size\n1970-01-20,10,1,11,1\n")
    with pytest.raises(UnknownLayout, match="before any market"):
        one(path, BBO, reading, symbol="BTC-USD", exchange="x")


def test_an_option_overrides_one_symbol_and_contradicts_several(shared, reading):
    path = shared / "market/book/bbo_binance_spot_20240808.parquet"
    with pytest.raises(UnknownLayout, match="holds 2 symbols"):
        one(path, BBO, reading, symbol="BTC-USDT")
    renamed = one(path, BBO, reading, exchange="elsewhere")
    assert renamed.rows["exchange"].unique().to_list() == ["elsewhere"]


def test_best_prices_are_books_of_one_level(shared, reading):
    path = shared / "market/book/bbo_binance_spot_20240808.parquet"
    piece = one(path, BBO, reading)
    source = pl.read_parquet(path).filter(symbol="BTCUSDT")
    ours = piece.rows.filter(symbol="BTC-USDT")
    assert ours["ts"].to_list() == source["ts"].to_list()
    assert ours["bids"].list.first().struct.field("price").to_list() == source["bid"].to_list()
    assert ours["asks"].list.first().struct.field("size").to_list() == source["ask_size"].to_list()
