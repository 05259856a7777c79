import datetime
import json

import polars as pl

from cq.ingest.layouts import recognised
from cq.ingest.mercado_bitcoin import LAYOUTS
from cq.ingest.source import opened
from cq.ingest.trade_files import LAYOUTS as TRADE_LAYOUTS
from cq.utils.time import HOUR, parse_time

CANDLES, DAY, TRADES = LAYOUTS


def test_v4_candles_are_columns_of_strings(shared, reading):
    path = shared / "mercado_bitcoin/fixtures/rest_v4/candles_BTC-BRL_1h_2bars_20260927.json"
    assert recognised(opened(path), "ohlcv").name == "mercadobitcoin-candles"
    piece = reading(path, CANDLES)
    assert piece.rows.row(0) == (
        1790503200 * 10**9, 441283.0, 442065.0, 440751.0, 441159.0, 0.7342452,
        "BTC-BRL", "mercadobitcoin", "1h",
    )  # fmt: skip
    assert piece.rows["ts"].diff().to_list()[1] == HOUR


def test_an_array_of_objects_with_the_names_of_candles_is_a_row_each(tmp_path, reading):
    path = tmp_path / "candles.json"
    hours = [1790503200, 1790506800]
    path.write_text(
        json.dumps([{"t": t, "o": "1", "h": "2", "l": "0.5", "c": "1.5", "v": "3"} for t in hours])
    )
    layout = recognised(opened(path), "ohlcv")
    assert layout is not CANDLES
    piece = reading(path, layout, symbol="BTC-BRL", exchange="x", interval="1h")
    assert piece.rows["ts"].to_list() == [one * 10**9 for one in hours]
    assert piece.rows.row(0)[1:6] == (1.0, 2.0, 0.5, 1.5, 3.0)


def test_an_empty_reply_holds_no_bars(tmp_path, reading):
    path = tmp_path / "candles.json"
    path.write_text(json.dumps({name: [] for name in "tohlcv"}))
    assert reading(path, CANDLES, symbol="BTC-BRL").rows.is_empty()


def test_a_day_summary_is_the_day_of_sao_paulo_unless_another_zone_is_said(shared, reading):
    path = shared / "market/raw/mercadobitcoin/v3_day_summary_202102.json"
    piece = reading(path, DAY, symbol="BTC-BRL")
    assert piece.rows.row(0) == (
        parse_time("2013-06-12T03:00"), 249.0, 275.0, 249.0, 265.0, 10.9169646,
        "BTC-BRL", "mercadobitcoin", "1d",
    )  # fmt: skip
    assert any("America/Sao_Paulo" in note for note in piece.notes)
    other = reading(path, DAY, symbol="BTC-BRL", timezone="UTC")
    assert other.rows["ts"].to_list() == [parse_time("2013-06-12")]


def test_a_day_summary_is_what_that_days_trades_make(shared, reading):
    """The checked fact: the São Paulo day, to the last digit."""
    trades = reading(shared / "market/raw/mercadobitcoin/mrcdBRL.csv", TRADE_LAYOUTS[0], "trades")
    day = reading(
        shared / "market/raw/mercadobitcoin/v3_day_summary_202102.json", DAY, symbol="BTC-BRL"
    ).rows.row(0, named=True)
    until = day["ts"] + 24 * HOUR
    inside = trades.rows.sort("ts", maintain_order=True).filter(
        (pl.col("ts") >= day["ts"]) & (pl.col("ts") < until)
    )
    assert inside.height == 11
    assert inside["price"].max() == day["high"]
    assert inside["price"].min() == day["low"]
    assert abs(inside["size"].sum() - day["volume"]) < 1e-9


def test_several_days_in_one_file_are_several_bars(tmp_path, reading):
    one = {"opening": 1, "closing": 2, "lowest": 1, "highest": 3, "quantity": 4, "volume": 8}
    first = datetime.date(2020, 1, 1)
    days = [{"date": f"{first + datetime.timedelta(n)}"} | one for n in range(3)]
    path = tmp_path / "days.json"
    path.write_text(json.dumps(days))
    assert reading(path, DAY, symbol="BTC-BRL").rows.height == 3


def test_trades_are_read_whether_numbers_or_strings(shared, reading):
    old = shared / "market/raw/mercadobitcoin/v3_trades_202102.json"
    new = shared / "mercado_bitcoin/fixtures/rest_v4/trades_BTC-BRL_limit50_first3_20251119.json"
    for path in (old, new):
        assert recognised(opened(path), "trades").name == "mercadobitcoin-trades"
    assert reading(old, TRADES, "trades", symbol="BTC-BRL").rows.row(0, named=True) == {
        "ts": 1612209343 * 10**9,
        "price": 185547.33488,
        "size": 0.00025847,
        "symbol": "BTC-BRL",
        "exchange": "mercadobitcoin",
        "side": "sell",
        "trade_id": "8266330",
    }
    newest = reading(new, TRADES, "trades").rows
    assert newest["symbol"].unique().to_list() == ["BTC-BRL"]
    assert newest["trade_id"].to_list() == ["21259638", "21259637", "21259636"]
