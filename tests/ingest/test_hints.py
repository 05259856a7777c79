from pathlib import PurePath

import pytest

from cq.ingest.hints import exchange_of, hints_in, hints_of
from cq.ingest.source import Source


@pytest.mark.parametrize(
    ("path", "symbol", "leading", "interval"),
    [
        ("Coinbase_BTCUSD_1h.csv", "BTC-USD", None, "1h"),
        ("Coinbase_BTCUSD_d.csv", "BTC-USD", None, "1d"),
        ("BTC_USDT-1d.json", "BTC-USDT", "BTC-USDT", "1d"),
        ("BTCBRL_1m_20221108.csv", "BTC-BRL", "BTC-BRL", "1m"),
        ("BTCUSDT-15m-2021-01.csv", "BTC-USDT", "BTC-USDT", "15m"),
        ("BTC-USD.csv", "BTC-USD", "BTC-USD", None),
        ("daily_dirty.parquet", None, None, "1d"),
        ("bars_5min.csv", None, None, "5m"),
        ("whatever.csv", None, None, None),
        ("2017-01-01.csv", None, None, None),
    ],
)
def test_a_name_tells_market_and_interval(path, symbol, leading, interval):
    hints = hints_in(PurePath(path))
    assert (hints.symbol, hints.leading_symbol, hints.interval) == (symbol, leading, interval)


def test_a_folder_may_be_named_after_its_market():
    assert hints_in(PurePath("BTCUSD/18-01-01_00-00-00.json")).folder_symbol == "BTC-USD"
    assert hints_in(PurePath("data/18-01-01.json")).folder_symbol is None


def test_a_zip_and_its_member_speak_together(tmp_path):
    source = Source(tmp_path / "january-1m.zip", "BTCUSDT.csv", "delimited")
    hints = hints_of(source)
    assert (hints.symbol, hints.interval) == ("BTC-USDT", "1m")


def test_an_exchange_may_name_a_folder_nearby():
    assert exchange_of(("user_data", "data", "binance")) == "binance"
    assert exchange_of(("binance", "a", "b", "c")) is None
