import polars as pl
import pytest

from cq.ingest.layout import KLINES, by_position, fields, plain, raw_table
from cq.ingest.source import opened

BAR = "1700000000,10,12,9,11,5\n"


def test_positions_are_named_and_a_dash_is_left_out():
    assert by_position("ts - price") == {"ts": "column_1", "price": "column_3"}
    assert list(KLINES) == ["ts", "open", "high", "low", "close", "volume"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [("Kline open time", "klineopentime"), ("is_buyer-maker", "isbuyermaker"), ("TS", "ts")],
)
def test_a_name_without_its_dress(said, meant):
    assert plain(said) == meant


@pytest.mark.parametrize(
    ("text", "count"),
    [(BAR, 6), ("a,b,c\n1,2,3\n", 0), ("[[1, 2, 3]]", 3), ('[{"a": 1}]', 0), ('{"a": 1}', 0)],
)
def test_only_a_file_without_names_has_fields_to_count(tmp_path, text, count):
    path = tmp_path / "a"
    path.write_text(text)
    assert fields(opened(path)) == count


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "ts,price\n1700000000,10.5\n"),
        ("a.json", '[{"ts": 1700000000, "price": 10.5}]'),
        ("a.json", '{"ts": [1700000000], "price": [10.5], "count": 1}'),
        ("a.json", '{"ts": 1700000000, "price": 10.5}'),
        ("a.jsonl", '{"ts": 1700000000, "price": 10.5}\n{"ts": 1700000000, "price": 10.5}\n'),
    ],
)
def test_every_text_form_gives_the_same_table_of_text(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    table, _ = raw_table(opened(path))
    assert table.row(0) == ("1700000000", "10.5")
    assert table.columns == ["ts", "price"]


def test_a_word_beside_columns_is_of_every_row(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"symbol": "BTC-BRL", "ts": [1, 2], "price": [10.5, 11]}')
    table, _ = raw_table(opened(path))
    assert table.rows(named=True)[1] == {"ts": "2", "price": "11.0", "symbol": "BTC-BRL"}


def test_binary_forms_give_the_columns_that_are_asked_for(tmp_path):
    frame = pl.DataFrame({"ts": [1], "price": [10.5], "more": ["x"]})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ipc(tmp_path / "a.feather")
    for name in ("a.parquet", "a.feather"):
        table, spoiled = raw_table(opened(tmp_path / name), ("ts", "price"))
        assert table.columns == ["ts", "price"]
        assert spoiled is None
