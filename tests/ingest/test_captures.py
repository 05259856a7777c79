import json

import polars as pl
import pytest

from cq.ingest.captures import messages_of, turned
from cq.ingest.source import opened
from cq.ingest.streams import LAYOUTS

BINANCE, HYPERLIQUID, COINBASE, MERCADO = LAYOUTS


def capture(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def binance(name, **data):
    return (
        f"1723161254087896568 {json.dumps({'stream': name, 'data': data}, separators=(',', ':'))}"
    )


TRADE = {
    "e": "trade", "E": 1723161255343, "s": "BTCUSDT", "t": 7, "p": "61837.63", "q": "0.02",
    "T": 1723161255342, "m": True, "M": True,
}  # fmt: skip


def test_a_line_is_a_receive_time_and_a_message_without_its_envelope(tmp_path):
    path = capture(
        tmp_path / "a",
        "wss://feed <-> 1618677816.84",
        '1618677817.061845: {"type":"x"}',
        "",
        binance("btcusdt@trade", e="trade"),
        '{"type":"pong"}',
        '1723161254087896568 {"cut":',
    )
    messages = messages_of(opened(path))
    assert messages.frame.rows() == [
        ("1618677817.061845", '{"type":"x"}'),
        ("1723161254087896568", '{"e":"trade"}'),
        (None, '{"type":"pong"}'),
    ]
    assert messages.cut.to_list() == ['1723161254087896568 {"cut":']


def test_a_binance_maker_who_buys_is_a_taker_who_sells(tmp_path, reading):
    path = capture(
        tmp_path / "a",
        binance("btcusdt@trade", **TRADE),
        binance("btcusdt@bookTicker", u=1, s="BTCUSDT"),
        binance("btcusdt@trade", **(TRADE | {"t": 8, "m": False})),
    )
    rows = reading(path, BINANCE, "trades").rows
    assert rows["side"].to_list() == ["sell", "buy"]
    assert rows["trade_id"].to_list() == ["7", "8"]
    assert rows["symbol"].unique().to_list() == ["BTC-USDT"]
    assert rows["exchange"].unique().to_list() == ["binance"]


def test_binance_futures_are_told_by_their_extra_field(tmp_path, reading):
    path = capture(tmp_path / "a", binance("btcusdt@trade", **(TRADE | {"X": "MARKET"})))
    assert reading(path, BINANCE, "trades").rows["exchange"].to_list() == ["binance_usdm"]


def test_a_last_line_that_was_cut_is_kept_and_the_others_land(tmp_path, reading):
    whole = binance("btcusdt@trade", **TRADE)
    path = capture(tmp_path / "a", whole, whole[:80])
    piece = reading(path, BINANCE, "trades")
    assert piece.rows.height == 1
    assert piece.broken["broken"].to_list() == [["not_json"]]
    assert piece.broken["row"].to_list() == [whole[:80]]


def test_coinbase_tells_the_maker_so_the_taker_is_the_other(tmp_path, reading):
    match = {
        "type": "match", "trade_id": 280232, "side": "sell", "size": "985", "price": "0.00001305",
        "product_id": "SKL-BTC", "time": "2021-04-17T16:43:37.089723Z",
    }  # fmt: skip
    lines = [
        f"1618677817.1: {json.dumps(m, separators=(',', ':'))}"
        for m in (match, match | {"type": "last_match", "side": "buy"})
    ]
    path = capture(tmp_path / "a", "wss://ws-feed.pro.coinbase.com <-> 1618677816.8", *lines)
    rows = reading(path, COINBASE, "trades").rows
    assert rows["side"].to_list() == ["buy", "sell"]
    assert rows["ts"].to_list() == [1618677817089723000] * 2


def test_hyperliquid_sends_several_trades_in_a_message(shared, reading):
    rows = reading(shared / "market/raw/hyperliquid/btcusd_20250126.gz", HYPERLIQUID, "trades").rows
    assert rows.height == 64
    assert set(rows["side"]) == {"buy", "sell"}
    assert rows["symbol"].unique().to_list() == ["BTC-USD"]


def test_mercado_bitcoin_frames_carry_the_trades_own_second(shared, reading):
    path = shared / "mercado_bitcoin/fixtures/ws/trade_20251224_par.jsonl"
    rows = reading(path, MERCADO, "trades").rows
    assert rows.unique().to_dicts() == [
        {
            "ts": 1766612427 * 10**9,
            "price": 485685.0,
            "size": 0.00016287,
            "symbol": "BTC-BRL",
            "exchange": "mercadobitcoin",
            "side": "sell",
            "trade_id": "21426785",
        }
    ]


def test_quote_first_names_are_turned_and_others_left():
    assert turned(pl.Series(["BRLBTC", "BRLUSDT", "X"])).to_list() == ["BTC-BRL", "USDT-BRL", "X"]


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("binance_ws/spot_btcusdt_20240808.gz", BINANCE),
        ("hyperliquid/btcusd_20250126.gz", HYPERLIQUID),
        ("cryptofeed/COINBASE.ws.28.0", COINBASE),
        ("mercadobitcoin/ws_frames_20260923_trimmed.jsonl", MERCADO),
    ],
)
def test_each_capture_is_recognised_as_its_own_and_no_other(shared, name, layout):
    source = opened(shared / "market/raw" / name)
    assert [one.name for one in LAYOUTS if one.matches(source)] == [layout.name]
