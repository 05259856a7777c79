import polars as pl
import pytest

from cq.errors import UnknownLayout
from cq.ingest.layouts import recognised
from cq.ingest.named import LAYOUTS, columns_of
from cq.ingest.source import opened

BARS, TRADES = LAYOUTS


@pytest.mark.parametrize(
    "header",
    [
        "ts,open,high,low,close,volume",
        "Volume,Close,Low,High,Open,Timestamp",
        "open_time;open;high;low;close;vol",
        "Open Time\tOpen Price\tHigh Price\tLow Price\tClose Price\tVolume",
        "unix,o,h,l,c,v",
    ],
)
def test_columns_are_known_by_many_names_in_any_order(tmp_path, reading, header):
    path = tmp_path / "BTC-USD.csv"
    separator = next(one for one in ";\t," if one in header)
    values = {"v": "5", "o": "10", "h": "12", "l": "9", "c": "11"}

    def value(name):
        first = name.lower().removeprefix("kline ")[0]
        is_time = name.lower().replace(" ", "_") in ("ts", "timestamp", "open_time", "unix")
        return "1700000000" if is_time else values[first]

    row = separator.join(value(name) for name in header.split(separator))
    path.write_text(f"{header}\n{row}\n")
    piece = reading(path, BARS, exchange="x", interval="1m")
    assert piece.rows.row(0)[:6] == (1_700_000_000 * 10**9, 10.0, 12.0, 9.0, 11.0, 5.0)


def test_of_two_stamps_the_number_wins_over_the_date_and_it_is_said(tmp_path, reading):
    path = tmp_path / "BTC-USD.csv"
    path.write_text(
        "Date,Timestamp,Open,High,Low,Close,Volume\n2021-01-24,1611500400000,1,1,1,1,1\n"
    )
    piece = reading(path, BARS, exchange="x", interval="1h")
    assert piece.rows["ts"].to_list() == [1_611_500_400 * 10**9]
    assert "Date ignored" in piece.notes


def test_two_columns_of_one_name_are_refused_where_they_differ(tmp_path, reading):
    path = tmp_path / "BTC-USD.csv"
    for header in ("ts,open,high,low,close,close,volume", "ts,open,high,low,close,Close,volume"):
        path.write_text(f"{header}\n1700000000,1,3,1,2,2,5\n1700003600,1,3,1,2,2.5,5\n")
        with pytest.raises(UnknownLayout, match="columns 5 and 6 close, and they differ") as caught:
            reading(path, BARS, exchange="x", interval="1h")
        assert "(first 2 and 2.5); say which by its position" in str(caught.value)
        path.write_text(f"{header}\n1700000000,1,3,1,2,2,5\n1700003600,1,3,1,2,2,5\n")
        piece = reading(path, BARS, exchange="x", interval="1h")
        assert piece.rows["close"].to_list() == [2.0, 2.0]
    pl.DataFrame(
        {"ts": [1_700_000_000], "open": 1.0, "high": 3.0, "low": 1.0, "close": 2.0, "Close": 2.5}
    ).with_columns(volume=5.0).write_parquet(tmp_path / "BTC-USD.parquet")
    with pytest.raises(UnknownLayout, match=r"first 2\.0 and 2\.5"):
        reading(tmp_path / "BTC-USD.parquet", BARS, exchange="x", interval="1h")


def test_of_two_volumes_the_bases_is_taken():
    names = ("unix", "date", "symbol", "open", "high", "low", "close", "Volume BTC", "Volume USD")
    assert columns_of(names, "ohlcv")["volume"] == "Volume BTC"
    names = ("date", "open", "high", "low", "close", "volume_btc", "volume")
    assert columns_of(names, "ohlcv")["volume"] == "volume_btc"


def test_json_objects_and_lines_of_them_are_tables_too(tmp_path, reading):
    path = tmp_path / "t.json"
    path.write_text('[{"time": 1700000000123, "price": "5.5", "qty": 2, "side": "BUY", "id": 9}]')
    for text in (path.read_text(), path.read_text()[1:-1] + "\n" + path.read_text()[1:-1] + "\n"):
        path.write_text(text)
        piece = reading(path, TRADES, "trades", symbol="BTC-BRL", exchange="x")
        assert piece.rows.row(0, named=True) == {
            "ts": 1_700_000_000_123 * 10**6,
            "price": 5.5,
            "size": 2.0,
            "symbol": "BTC-BRL",
            "exchange": "x",
            "side": "buy",
            "trade_id": "9",
        }


def test_a_column_of_makers_is_turned_into_takers(tmp_path, reading):
    path = tmp_path / "BTCUSDT-trades.csv"
    path.write_text("id,price,qty,quote_qty,time,is_buyer_maker\n1,5,2,10,1700000000000,True\n")
    assert reading(path, TRADES, "trades", exchange="x").rows["side"].to_list() == ["sell"]


def test_parquet_reads_only_the_columns_it_needs(tmp_path, reading):
    path = tmp_path / "a.parquet"
    pl.DataFrame(
        {"time": [1_700_000_000], "price": [1.0], "size": [2.0], "huge": [b"\x00"], "trade_id": [7]}
    ).write_parquet(path)
    piece = reading(path, TRADES, "trades", symbol="BTC-BRL", exchange="x")
    assert piece.rows["trade_id"].to_list() == ["7"]


def test_a_market_that_only_leads_the_name_is_taken_and_said(tmp_path, reading):
    text = "ts,open,high,low,close,volume\n1700000000,1,1,1,1,1\n"
    for name, symbol in (("ETHBRL_1h.csv", "ETH-BRL"), ("BTC-USD.csv", "BTC-USD")):
        (tmp_path / name).write_text(text)
        piece = reading(tmp_path / name, BARS, exchange="x", interval="1h")
        assert f"symbol {symbol}" in piece.notes


def test_books_are_not_mistaken_for_trades(shared):
    path = shared / "market/book/l2_binance_spot_20240808.parquet"
    assert recognised(opened(path), "orderbook_l2").name == "levels"
    with pytest.raises(Exception, match="looks like levels"):
        recognised(opened(path), "trades")


def test_a_brazilian_table_needs_no_mapping(importing, stored, tmp_path):
    path = tmp_path / "BTC-BRL.csv"
    path.write_bytes(
        "Relatório de preços, emitido hoje\nData;Abertura;Máxima;Mínima;Fechamento;Volume\n"
        "2024-01-01;210.000,50;211.000,00;209.000;210.500,25;1,5\n"
        "2024-01-02;210.000,50;211.000,00;209.000;210.500,25;1.002,5\n".encode("cp1252")
    )
    (report,) = importing(path, dataset="ohlcv", exchange="x")
    assert (report.report.landed, report.error) == (2, None)
    assert {"text in cp1252", "numbers with a decimal comma"} < set(report.notes)
    assert stored("ohlcv").sort("ts").select("open", "high", "low", "close", "volume").rows() == [
        (210000.5, 211000.0, 209000.0, 210500.25, 1.5),
        (210000.5, 211000.0, 209000.0, 210500.25, 1002.5),
    ]


def test_brazilian_trades_are_trades(tmp_path, reading):
    path = tmp_path / "BTC-BRL.csv"
    path.write_text("Data/Hora;Tipo;Preço;Quantidade\n2024-01-01 10:00:00;Compra;210.000,50;0,1\n")
    rows = reading(path, TRADES, "trades", exchange="x").rows
    assert rows.select("price", "size", "side").row(0) == (210000.5, 0.1, "buy")
