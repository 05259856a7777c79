"""Tables for people fit, and never break a number, a symbol or a date."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from cq.cli.table import blocks, lines, shortened, words

STATUS = ("dataset", "exchange", "symbol", "already there", "first", "rows")
SERIES = [
    ["ohlcv", "mercadobitcoin", "BTC-BRL", "1", "2024-01-01 00:00", "17,544"],
    ["trades", "binance", "DOGE-USDT", "270.9", "–", "–"],
]


def test_a_table_that_fits_stands_in_columns_with_numbers_set_right():
    assert lines(STATUS, SERIES, None) == [
        "dataset  exchange        symbol     already there  first               rows",
        "───────────────────────────────────────────────────────────────────────────",
        "ohlcv    mercadobitcoin  BTC-BRL                1  2024-01-01 00:00  17,544",
        "trades   binance         DOGE-USDT          270.9  –                      –",
    ]


def test_headers_wrap_at_spaces_before_anything_else_gives_way():
    shown = lines(STATUS, SERIES, 70)
    assert shown[:2] == [
        "                                    already",
        "dataset  exchange        symbol       there  first               rows",
    ]
    assert len(shown) == 5


def test_long_texts_are_shortened_between_words():
    rows = [["btc", "BTC-BRL, ETH-BRL, SOL-BRL and 3 more", "5"]]
    assert lines(("name", "symbols", "n"), rows, 30)[-1] == "btc   BTC-BRL, ETH-BRL…      5"
    assert lines(("name", "symbols", "n"), rows, 26)[-1] == "btc   BTC-BRL…           5"


def test_a_table_that_cannot_fit_becomes_blocks():
    assert lines(STATUS, SERIES, 40) == [
        "dataset        ohlcv",
        "exchange       mercadobitcoin",
        "symbol         BTC-BRL",
        "already there  1",
        "first          2024-01-01 00:00",
        "rows           17,544",
        "",
        "dataset        trades",
        "exchange       binance",
        "symbol         DOGE-USDT",
        "already there  270.9",
        "first          –",
        "rows           –",
    ]


def test_blocks_wrap_texts_at_spaces_only():
    assert blocks(("a",), [["buy BTC-BRL and some ETH-BRL now"]], 19) == [
        *("a  buy BTC-BRL and", "   some ETH-BRL now"),
    ]


def test_an_answer_without_rows_is_its_header():
    assert lines(("a", "b"), [], 80) == ["a  b", "────"]
    assert lines((), [], 80) == [""]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (True, "yes"),
        (1704067200000000000, "1704067200000000000"),
        (1.2e-05, "1.2e-05"),
        (["BTC-BRL", "ETH-BRL"], "BTC-BRL, ETH-BRL"),
        ([], "none"),
        ([{"price": 1.5, "size": 2}, {"price": 1.0}], "price 1.5, size 2; price 1.0"),
        ("two\n  lines", "two lines"),
        ("[red]plain", "[red]plain"),
    ],
)  # fmt: skip
def test_a_value_is_said_on_one_line(value, said):
    assert words(value) == said


def test_a_number_or_moment_is_never_shortened():
    for cell in ("123456789012345678901234567890", "2024-01-01 00:00:00.000001+00:00", "-1.5e+300"):
        assert shortened(cell, 8) == cell


SOLID = st.one_of(
    st.integers().map(lambda one: f"{one:,}"),
    st.floats().map(str),
    st.datetimes().map(str),
    st.sampled_from(["BNB-USDT", "270.9", "mercadobitcoin", "–", ""]),
)
TEXT = st.lists(st.sampled_from(["BTC-BRL", "is", "late", "é", "a" * 50]), max_size=20).map(
    " ".join
)
TABLES = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from(["rows", "max drawdown", "a b c"]), min_size=n, max_size=n),
        st.lists(st.lists(SOLID | TEXT, min_size=n, max_size=n), min_size=1, max_size=4),
    )
)


@settings(max_examples=50, deadline=None)
@given(TABLES, st.sampled_from([80, 100, 200]))
def test_every_table_fits_keeps_solid_things_whole_and_ends_its_lines(table, width):
    columns, rows = table
    shown = lines(columns, rows, width)
    for line in shown:
        assert line == line.rstrip()
        assert cell_len(line) <= width
    pieces = set(" ".join(shown).split())
    for cell in (cell for row in rows for cell in row):
        for piece in cell.split():
            if any(letter.isdigit() for letter in piece):
                assert piece in pieces
