import json

import polars as pl

from cq.ingest.bars import LAYOUTS
from cq.ingest.layouts import recognised
from cq.ingest.source import opened

KLINES, CDD, CMC, FEATHER = LAYOUTS
KLINE = [1700000000000, "10", "12", "9", "11", "5", 1700000059999, "55", 3, "2", "22", "0"]


def named(path, dataset="ohlcv"):
    return recognised(opened(path), dataset).name


def test_klines_without_a_header_in_ms_or_microseconds(tmp_path, reading):
    path = tmp_path / "BTCUSDT-1m-2025-01.csv"
    for factor in (1, 1000):
        first = [KLINE[0] * factor, *KLINE[1:]]
        path.write_text(",".join(str(one) for one in first) + "\n")
        assert named(path) == "binance-klines"
        piece = reading(path, KLINES)
        assert piece.rows.row(0) == (
            1_700_000_000 * 10**9, 10.0, 12.0, 9.0, 11.0, 5.0, "BTC-USDT", "binance", "1m",
        )  # fmt: skip
        assert piece.notes[0] == ("ts epoch ms" if factor == 1 else "ts epoch µs")


def test_klines_with_a_header_of_binance(tmp_path, reading):
    path = tmp_path / "ETHBRL_1h.csv"
    path.write_text(
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore\n" + ",".join(str(one) for one in KLINE)
    )
    assert named(path) == "binance-klines"
    assert reading(path, KLINES).rows["interval"].to_list() == ["1h"]


def test_klines_as_the_api_replies_them(tmp_path, reading):
    path = tmp_path / "BTCUSDT_1m.json"
    path.write_text(json.dumps([KLINE, [KLINE[0] + 60_000, *KLINE[1:]]]))
    assert named(path) == "binance-klines"
    assert reading(path, KLINES).rows.height == 2


def test_the_real_klines_keep_their_index_and_quoted_comma_apart(shared, reading):
    path = shared / "market/raw/binance_klines/BTCBRL_1m_20221108.csv"
    piece = reading(path, KLINES)
    assert piece.rows.row(0) == (
        1667946840 * 10**9, 97314.0, 97346.0, 97187.0, 97346.0, 0.6241, "BTC-BRL", "binance", "1m",
    )  # fmt: skip


def test_the_derived_file_takes_the_timestamp_and_not_the_wrong_date(shared):
    path = shared / "market/raw/binance_klines/BTCBRL_1h_202101_derived.csv"
    assert named(path) == "named-bars"


def test_coinmarketcap_has_high_first_and_the_base_alone(shared, reading):
    piece = reading(shared / "market/raw/cmc/coin_USDCoin.csv", CMC)
    assert piece.rows.select("open", "high", "low", "close").row(0) == (
        1.00427, 1.00833, 1.00003, 1.00686,
    )  # fmt: skip
    assert piece.rows["symbol"].unique().to_list() == ["USDC-USD"]
    assert "volume is in USD" in piece.notes


def test_cryptodatadownload_is_newest_first_with_the_bases_volume(shared, reading):
    path = shared / "market/raw/cryptodatadownload/Coinbase_BTCUSD_1h.csv"
    assert named(path) == "cryptodatadownload"
    piece = reading(path, CDD)
    assert piece.rows.row(0) == (
        1571302800 * 10**9, 8051.0, 8056.83, 8021.23, 8035.88, 61.25, "BTC-USD", "coinbase", "1h",
    )  # fmt: skip
    assert "volume from volume_btc" in piece.notes
    assert piece.broken.is_empty()


def test_a_newer_cryptodatadownload_header_is_understood(tmp_path, reading):
    path = tmp_path / "Binance_BTCUSDT_1h.csv"
    path.write_text(
        "https://www.CryptoDataDownload.com\n"
        "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount\n"
        "1700003600000,2023-11-14 23:13:20,BTCUSDT,10,12,9,11,5,55,3\n"
    )
    piece = reading(path, CDD)
    assert piece.rows["volume"].to_list() == [5.0]
    assert piece.rows["ts"].to_list() == [1_700_003_600 * 10**9]
    assert piece.rows["exchange"].to_list() == ["binance"]


def test_freqtrade_feather_takes_market_and_interval_from_its_name(tmp_path, shared, reading):
    path = shared / "market/raw/freqtrade/SOL_USDT-1h.feather"
    assert named(path) == "freqtrade-feather"
    piece = reading(path, FEATHER, exchange="binance")
    assert piece.rows.select("symbol", "interval").row(0) == ("SOL-USDT", "1h")
    folder = tmp_path / "data" / "kraken"
    folder.mkdir(parents=True)
    pl.read_ipc(path).head(5).write_ipc(folder / "SOL_USDT-1h.feather")
    near = reading(folder / "SOL_USDT-1h.feather", FEATHER)
    assert near.rows["exchange"].unique().to_list() == ["kraken"]
