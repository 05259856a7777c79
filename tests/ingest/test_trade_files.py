import pytest

from cq.ingest.layouts import recognised
from cq.ingest.source import Unrecognised, opened
from cq.ingest.trade_files import LAYOUTS

CHARTS, BINANCE = LAYOUTS


@pytest.mark.parametrize(
    ("name", "symbol", "exchange"),
    [("mrcdBRL.csv", "BTC-BRL", "mercadobitcoin"), ("krakenEUR.csv", "BTC-EUR", "kraken")],
)
def test_bitcoincharts_names_market_and_currency_in_the_files_name(
    tmp_path, reading, name, symbol, exchange
):
    path = tmp_path / name
    path.write_text("1314723611,14.000000000000,0.010000000000\n1314723611,14,0.05")
    assert recognised(opened(path), "trades").name == "bitcoincharts"
    rows = reading(path, CHARTS, "trades").rows
    assert rows.select("symbol", "exchange").row(0) == (symbol, exchange)
    assert rows["ts"].to_list() == [1314723611 * 10**9] * 2
    assert rows["side"].null_count() == 2


def test_a_hidden_file_and_a_market_in_upper_case_are_named_too(tmp_path, reading):
    for name, symbol in ((".coinbaseUSD.csv", "BTC-USD"), ("ETHEUR.csv", "ETH-EUR")):
        (tmp_path / name).write_text("1314723611,14,0.01\n")
        rows = reading(tmp_path / name, CHARTS, "trades", exchange="x").rows
        assert rows["symbol"].to_list() == [symbol]


def test_other_names_ask_for_the_market(tmp_path, reading):
    path = tmp_path / "trades.csv"
    path.write_text("1314723611,14,0.01\n")
    with pytest.raises(Exception, match="--symbol"):
        reading(path, CHARTS, "trades")


def test_the_real_file_keeps_every_line_also_the_last_without_an_end(shared, reading):
    rows = reading(shared / "market/raw/mercadobitcoin/mrcdBRL.csv", CHARTS, "trades").rows
    assert rows.height == 27_074
    assert rows["trade_id"].n_unique() == 27_074


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("7,61837.63,0.02,1236.7,1723161255342,true,true", 0.02),
        ("7,61837.63,0.03,100,101,1723161255342000,True,True", 0.03),
    ],
    ids=["trades", "aggTrades"],
)
def test_binance_trades_without_a_header(tmp_path, reading, line, size):
    path = tmp_path / "BTCUSDT-trades-2024-08-08.csv"
    path.write_text(line + "\n")
    assert recognised(opened(path), "trades").name == "binance-trades"
    assert reading(path, BINANCE, "trades").rows.row(0, named=True) == {
        "ts": 1723161255342 * 10**6,
        "price": 61837.63,
        "size": size,
        "symbol": "BTC-USDT",
        "exchange": "binance",
        "side": "sell",
        "trade_id": "7",
    }


def test_a_strange_file_of_seven_columns_is_in_no_layout_whatever_separates_them(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('x;;;;;;\n"1,5";2;3;4;5;6;7\n')
    with pytest.raises(Unrecognised, match="7 columns without a header"):
        recognised(opened(path), "trades")
