import json

import polars as pl
import pytest

from cq.errors import ConfigError, UnknownLayout
from cq.ingest.mapping import Mapping, layout_of, read_mapping
from cq.utils.time import parse_time

BARS = "{ts: Data, open: Abertura, high: Maxima, low: Minima, close: Fechamento, volume: Volume}"


@pytest.fixture
def mapped(tmp_path, reading):
    """Read `text` by a mapping."""

    def run(mapping, text, name="data.csv", dataset="ohlcv", **options):
        where = tmp_path / "mapping.yaml"
        where.write_text(mapping)
        path = tmp_path / name
        path.write_text(text)
        return reading(path, layout_of(where, read_mapping(where)), dataset, **options)

    return run


def test_a_brazilian_table_is_read_as_it_is(mapped):
    piece = mapped(
        f"columns: {BARS}\nseparator: ';'\ndecimal: ','\nskip_rows: 2\n"
        "ts: {format: '%d/%m/%Y %H:%M', timezone: America/Sao_Paulo}\n"
        "symbol: BTC-BRL\nexchange: acme\ninterval: 1h\n",
        "Relatório\nEmitido em 02/02/2021\nData;Abertura;Maxima;Minima;Fechamento;Volume\n"
        "01/02/2021 10:00;1.000,5;1.200,0;900;1.100,25;0,5\n",
    )
    assert piece.rows.row(0) == (
        parse_time("2021-02-01T13:00"), 1000.5, 1200.0, 900.0, 1100.25, 0.5,
        "BTC-BRL", "acme", "1h",
    )  # fmt: skip


def test_columns_by_position_count_from_one(mapped):
    piece = mapped(
        "columns: {ts: 2, price: 3, size: 4, side: 5}\nheader: false\nts: {unit: ms}\n"
        "symbol: BTC-BRL\nexchange: acme\n",
        "x,1700000000000,10,0.5,sell\n",
        dataset="trades",
    )
    assert piece.rows.select("ts", "price", "size", "side").row(0) == (
        1_700_000_000 * 10**9, 10.0, 0.5, "sell",
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        {"data": {"rows": [{"when": 1700000000, "p": 10, "q": "0.5"}]}},
        {"data": {"rows": [{"when": 1700000000, "p": 10, "q": "0.5", "more": None}] * 1}},
        {"data": {"rows": {"when": [1700000000], "p": [10], "q": ["0.5"]}}},
    ],
)
def test_rows_deep_inside_json_are_found_by_their_path(mapped, value):
    piece = mapped(
        "columns: {ts: when, price: p, size: q}\njson: data.rows\nsymbol: BTC-BRL\nexchange: a\n",
        json.dumps(value),
        dataset="trades",
    )
    assert piece.rows.select("ts", "price", "size").row(0) == (1_700_000_000 * 10**9, 10.0, 0.5)


def test_arrays_in_json_are_columns_by_position(mapped):
    piece = mapped(
        "columns: {ts: 1, price: 3, size: 2}\njson: r\nsymbol: BTC-BRL\nexchange: a\n",
        '{"r": [[1700000000, 0.5, 10]]}',
        dataset="trades",
    )
    assert piece.rows.select("price", "size").row(0) == (10.0, 0.5)


def test_a_path_that_leads_nowhere_names_what_there_is(mapped):
    with pytest.raises(UnknownLayout, match="there is data, status"):
        mapped(
            "columns: {ts: 1, price: 2, size: 3}\njson: result\n",
            '{"data": [], "status": "ok"}',
            dataset="trades",
        )


def test_binary_tables_are_mapped_too(tmp_path, reading):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"when": [1_700_000_000], "p": [1.5], "q": [2]}).write_parquet(path)
    mapping = Mapping(columns={"ts": "when", "price": "p", "size": 3}, symbol="A-B", exchange="x")
    piece = reading(path, layout_of(tmp_path / "m.yaml", mapping), "trades")
    assert piece.rows.select("price", "size").row(0) == (1.5, 2.0)


def test_a_date_and_a_time_in_two_columns_are_joined(mapped):
    piece = mapped(
        "columns: {ts: [1, 2], open: 3, high: 4, low: 5, close: 6, volume: 7}\n"
        "ts: {format: '%Y.%m.%d %H:%M'}\nsymbol: EUR-USD\nexchange: mt4\n",
        "2018.01.01,00:00,1,2,0.5,1.5,10\n2018.01.01,00:01,1,2,0.5,1.5,10\n",
    )
    assert piece.rows["ts"].to_list() == [
        parse_time("2018-01-01T00:00"),
        parse_time("2018-01-01T00:01"),
    ]
    assert piece.rows["interval"].to_list() == ["1m", "1m"]


def test_a_joined_column_that_is_not_there_is_named(mapped):
    with pytest.raises(UnknownLayout, match="lacks Data Hora"):
        mapped("columns: {ts: [Data, Hora], price: 2, size: 3}\n", "1,2,3\n", dataset="trades")


def test_options_win_over_the_mapping(mapped):
    piece = mapped(
        f"columns: {BARS}\nsymbol: BTC-BRL\nexchange: acme\ninterval: 1h\n",
        "Data,Abertura,Maxima,Minima,Fechamento,Volume\n2021-02-01,1,1,1,1,1\n",
        symbol="ETH-BRL",
        interval="1d",
    )
    assert piece.rows.select("symbol", "exchange", "interval").row(0) == ("ETH-BRL", "acme", "1d")


def test_a_column_that_is_not_there_is_named(mapped):
    with pytest.raises(UnknownLayout, match="lacks Abertura; found columns Data, Open"):
        mapped(f"columns: {BARS}\n", "Data,Open,Maxima,Minima,Fechamento,Volume\n1,1,1,1,1,1\n")
    with pytest.raises(UnknownLayout, match=r"lacks column 9 \(size\)"):
        mapped("columns: {ts: 1, price: 2, size: 9}\n", "1,2,3\n", dataset="trades")


def test_a_mapping_of_another_dataset_is_refused(mapped):
    with pytest.raises(ConfigError, match="describes trades, not ohlcv"):
        mapped("dataset: trades\ncolumns: {ts: 1, price: 2, size: 3}\n", "1,2,3\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("columns: {ts: a}\nsymbl: X-Y\n", r"m\.yaml:2: unknown key symbl; there is columns"),
        ("columns: {ts: a}\nts:\n  unitt: s\n", r"m\.yaml:3: unknown key ts\.unitt"),
        ("columns: {ts: a}\nts:\n  unit: hours\n", r"m\.yaml:3: ts\.unit"),
        ("columns: {ts: a}\nts: {timezone: Mars}\n", r"m\.yaml:2: ts\.timezone: 'Mars' is no time"),
        ("columns: {when: a}\n", r"m\.yaml:1: columns: when is no column here"),
        ("columns:\n  ts: {a: b}\n", r"m\.yaml:2: columns\.ts: "),
        ("columns:\n  ts: [a, {b: c}]\n", r"m\.yaml:2: columns\.ts: "),
        ("columns: {ts: 0}\n", r"m\.yaml:1: columns: ts: positions count from 1"),
        ("columns: {ts: a}\ninterval: hour\n", r"m\.yaml:2: interval: 'hour' is not an interval"),
        ("columns: {ts: a}\nseparator: ', '\n", r"m\.yaml:2: separator"),
        ("symbol: X-Y\n", r"columns is missing"),
        ("column: {ts: a}\n", r"m\.yaml:1: unknown key column; there is columns"),
        ("columns: {ts: []}\n", r"m\.yaml:1: columns: ts: names no column"),
        (
            "columns: {ts: a}\nsymbol: not a market\n",
            r"m\.yaml:2: symbol: 'not a market' is no market",
        ),
        ("columns: {ts: a}\nexchange: a/b\n", r"m\.yaml:2: exchange: 'a/b' is no plain name"),
        ("columns: [\n", r"m\.yaml:\d+: is not YAML"),
    ],
)
def test_mistakes_name_file_line_and_key(tmp_path, text, said):
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_mapping(path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_decimals_and_encoding_are_told_where_a_mapping_leaves_them_out(mapped):
    mapping = f"columns: {BARS}\nsymbol: A-B\nexchange: x\ninterval: 1d\n"
    text = "Data;Abertura;Maxima;Minima;Fechamento;Volume\n2024-01-01;{0};{0};{0};{0};1\n"
    assert mapped(mapping, text.format("1,5")).rows["open"].to_list() == [1.5]
    with pytest.raises(UnknownLayout, match="may mark decimals or thousands"):
        mapped(mapping, text.format("1.500"))
    for decimal, number in ((",", 1500.0), (".", 1.5)):
        piece = mapped(f"{mapping}decimal: '{decimal}'\n", text.format("1.500"))
        assert piece.rows["open"].to_list() == [number]


def test_an_encoding_is_taken_at_its_word(importing, tmp_path):
    (tmp_path / "m.yaml").write_text(
        "columns: {ts: Época, price: Preço, size: 3}\nencoding: cp850\nsymbol: A-B\nexchange: x\n"
    )
    (tmp_path / "a.csv").write_bytes("Época,Preço,q\n1700000000,5,1\n".encode("cp850"))
    (report,) = importing(tmp_path / "a.csv", dataset="trades", mapping=tmp_path / "m.yaml")
    assert (report.report.landed, report.notes[0]) == (1, "ts epoch s")


def test_an_encoding_that_nobody_knows_is_refused(tmp_path):
    (tmp_path / "m.yaml").write_text("columns: {ts: 1}\nencoding: klingon\n")
    with pytest.raises(ConfigError, match="encoding: 'klingon' is no encoding"):
        read_mapping(tmp_path / "m.yaml")
