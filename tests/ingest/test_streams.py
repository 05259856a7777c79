import json

import polars as pl
import pytest

from cq.ingest.streams import LAYOUTS

BINANCE, HYPERLIQUID, COINBASE, MERCADO = LAYOUTS


def line(recv, value, separator=" "):
    return f"{recv}{separator}{json.dumps(value, separators=(',', ':'))}\n"


def depth(first, last, bids, asks, **more):
    data = {
        "e": "depthUpdate", "E": 1723161255208 + last, "s": "BTCUSDT", "U": first, "u": last,
        "b": bids, "a": asks,
    }  # fmt: skip
    return {"stream": "btcusdt@depth@100ms", "data": data | more}


FULL = {"lastUpdateId": 5, "bids": [["10", "1"], ["9", "2"]], "asks": [["11", "1"]]}


def books(path, layout, reading, **options):
    return reading(path, layout, "orderbook_l2", **options)


def test_binance_differences_build_on_the_rest_snapshot(tmp_path, reading):
    path = tmp_path / "a"
    path.write_text(
        line(1723161253900000000, depth(3, 6, [["10", "5"]], []))
        + line(1723161254000000000, FULL)
        + line(1723161254100000000, depth(7, 8, [["10", "0"]], [["11", "3"]]))
    )
    piece = books(path, BINANCE, reading)
    assert piece.rows["ts"].to_list() == [
        1723161254000000000,
        1723161255214000000,
        1723161255216000000,
    ]
    tops = piece.rows.select(
        pl.col("bids").list.first().struct.field("size").alias("bid"),
        pl.col("asks").list.first().struct.field("size").alias("ask"),
    )
    assert tops.rows() == [(1.0, 1.0), (5.0, 1.0), (2.0, 3.0)]
    assert piece.rows["symbol"].unique().to_list() == ["BTC-USDT"]


def test_futures_continue_by_the_previous_id_that_they_name(tmp_path, reading):
    path = tmp_path / "a"
    path.write_text(
        line(1723161254000000000, FULL)
        + line(1723161254100000000, depth(4, 8, [["10", "4"]], [], pu=3))
        + line(1723161254200000000, depth(20, 25, [["10", "7"]], [], pu=8))
    )
    assert books(path, BINANCE, reading).rows.height == 3


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_the_real_captures_are_never_crossed(shared, reading, symbol):
    path = shared / f"market/raw/binance_ws/spot_{symbol}_20240808.gz"
    piece = books(path, BINANCE, reading)
    assert piece.rows.height > 3_400
    bid = pl.col("bids").list.first().struct.field("price")
    ask = pl.col("asks").list.first().struct.field("price")
    assert piece.rows.select((bid < ask).all()).item()
    assert not any("gaps" in note for note in piece.notes)


def test_coinbase_changes_go_to_their_sides(tmp_path, reading):
    snapshot = {
        "type": "snapshot", "product_id": "A-BTC", "asks": [["11", "1"]], "bids": [["10", "1"]],
    }  # fmt: skip
    update = {
        "type": "l2update", "product_id": "A-BTC", "time": "2021-04-17T16:43:38.075687Z",
        "changes": [["sell", "11", "0"], ["buy", "10.5", "2"], ["sell", "12", "3"]],
    }  # fmt: skip
    path = tmp_path / "a"
    path.write_text(
        "wss://ws-feed.pro.coinbase.com <-> 1618677816.8\n"
        + line("1618677817.077736", snapshot, ": ")
        + line("1618677818.1", update, ": ")
    )
    first, second = books(path, COINBASE, reading).rows.to_dicts()
    assert first["ts"] == 1618677817077736000
    assert second["ts"] == 1618677818075687000
    assert second["bids"] == [{"price": 10.5, "size": 2.0}, {"price": 10.0, "size": 1.0}]
    assert second["asks"] == [{"price": 12.0, "size": 3.0}]


def test_hyperliquid_messages_are_whole_books(shared, reading):
    piece = books(shared / "market/raw/hyperliquid/btcusd_20250126.gz", HYPERLIQUID, reading)
    assert piece.rows.height == 45
    assert (piece.rows["bids"].list.len() == 20).all()
    tidy = pl.read_parquet(
        shared / "market/book/l2_snapshots_hyperliquid_mercadobitcoin.parquet"
    ).filter(exchange="hyperliquid", side="bid", level=0)
    ours = piece.rows.select("ts", price=pl.col("bids").list.first().struct.field("price"))
    both = ours.join(tidy.unique("ts", keep="last", maintain_order=True), on="ts")
    assert both.height == 45
    assert (both["price"] == both["price_right"]).all()


def test_mercado_bitcoin_frames_are_stamped_when_the_book_was_built(shared, reading):
    path = shared / "market/raw/mercadobitcoin/ws_frames_20260923_trimmed.jsonl"
    rows = books(path, MERCADO, reading, depth=2).rows
    assert rows["ts"].to_list()[0] == 1790138577203546414
    assert rows["symbol"].to_list() == ["BTC-BRL", "COMP-BRL"]
    assert rows["bids"].list.len().to_list() == [2, 2]


def test_a_cut_line_is_kept_among_the_books_too(tmp_path, reading):
    path = tmp_path / "a"
    path.write_text(
        line(1723161254000000000, FULL) + '1723161254100000000 {"stream":"btcusdt@depth'
    )
    piece = books(path, BINANCE, reading, symbol="BTC-USDT")
    assert piece.rows.height == 1
    assert piece.broken["broken"].to_list() == [["not_json"]]
