import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UnknownLayout
from cq.ingest.six_columns import LAYOUTS, order_of

SIX, OHLC, BITFINEX = LAYOUTS


def table(rows):
    names = [f"column_{n}" for n in range(1, 7)]
    return pl.DataFrame(
        [[str(value) for value in row] for row in rows],
        schema=dict.fromkeys(names, pl.String),
        orient="row",
    )


bars = st.lists(
    st.tuples(*[st.floats(0.01, 1e6) for _ in range(4)]).map(
        lambda p: (p[0], max(p), min(p), p[3])
    ),
    min_size=1,
    max_size=30,
)


@given(bars)
def test_the_order_is_told_from_the_bars_whichever_it_is(prices):
    ohlc = table([(n, o, h, lo, c, 1) for n, (o, h, lo, c) in enumerate(prices)])
    ochl = table([(n, o, c, h, lo, 1) for n, (o, h, lo, c) in enumerate(prices)])
    flat = all(o == h == lo == c for o, h, lo, c in prices)
    assert order_of("a", ohlc) == ("flat" if flat else "ohlc")
    assert order_of("a", ochl) == ("flat" if flat else "bitfinex")


def test_a_few_broken_bars_do_not_hide_the_order():
    rows = [(n, 10, 12, 9, 11, 1) for n in range(200)]
    rows[7] = (7, 10, 9, 12, 11, 1)
    assert order_of("a", table(rows)) == "ohlc"


@pytest.mark.parametrize(
    "rows",
    [
        [(n, 10, 9, 12, 11, 1) for n in range(10)],
        [(n, 10, 12, 9, 11, 1) for n in range(5)] + [(n, 10, 11, 12, 9, 1) for n in range(5)],
    ],
    ids=["neither", "half and half"],
)
def test_bars_that_do_not_decide_ask_for_help_in_one_line(rows):
    with pytest.raises(UnknownLayout, match="--mapping FILE or force --layout") as caught:
        order_of("some.csv", table(rows))
    assert "\n" not in str(caught.value)


def text_of(rows):
    return "".join(",".join(str(value) for value in row) + "\n" for row in rows)


OHLC_ROWS = [(1_700_000_000_000 + 60_000 * n, 10, 12, 9, 11, n + 1) for n in range(3)]
OCHL_ROWS = [(1_700_000_000_000 + 60_000 * n, 10, 11, 12, 9, n + 1) for n in range(3)]


@pytest.mark.parametrize(
    ("rows", "layout", "exchange"), [(OHLC_ROWS, "ohlc", "x"), (OCHL_ROWS, "bitfinex", "bitfinex")]
)
def test_both_orders_land_the_same_bars_and_the_choice_is_said(
    tmp_path, reading, rows, layout, exchange
):
    path = tmp_path / "BTCUSD.csv.gz"
    path.write_bytes(gzip.compress(text_of(rows).encode()))
    piece = reading(path, SIX, exchange=None if layout == "bitfinex" else "x")
    assert piece.layout == layout
    assert piece.rows.row(0) == (
        1_700_000_000 * 10**9, 10.0, 12.0, 9.0, 11.0, 1.0, "BTC-USD", exchange, "1m",
    )  # fmt: skip
    assert "columns told by the bars" in piece.notes[0]


def test_json_in_freqtrades_order_is_freqtrades(tmp_path, reading):
    folder = tmp_path / "binance"
    folder.mkdir()
    path = folder / "BTC_USDT-1m.json"
    path.write_text(json.dumps(OHLC_ROWS))
    piece = reading(path, SIX)
    assert piece.layout == "freqtrade"
    assert piece.rows.select("symbol", "exchange", "interval").row(0) == (
        "BTC-USDT",
        "binance",
        "1m",
    )


def test_flat_bars_need_no_order(tmp_path, reading):
    path = tmp_path / "BTCUSD.csv"
    path.write_text(text_of([(1_700_000_000_000 + 60_000 * n, 5, 5, 5, 5, 1) for n in range(3)]))
    piece = reading(path, SIX, exchange="x")
    assert piece.rows.height == 3
    assert "no difference" in piece.notes[0]


def test_a_forced_order_is_taken_at_its_word(tmp_path, reading):
    path = tmp_path / "BTCUSD.csv"
    path.write_text(text_of(OHLC_ROWS))
    forced = reading(path, BITFINEX)
    assert forced.rows.select("open", "close", "high", "low").row(0) == (10.0, 12.0, 9.0, 11.0)
    assert reading(path, OHLC, exchange="x").rows["high"].to_list() == [12.0] * 3


@pytest.mark.parametrize(("rows", "layout"), [(OHLC_ROWS, "ohlc"), (OCHL_ROWS, "bitfinex")])
def test_the_order_is_told_with_decimal_commas_too(tmp_path, reading, rows, layout):
    path = tmp_path / "BTCUSD.csv"
    lines = [";".join([str(row[0]), *(f"{value},5" for value in row[1:])]) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    piece = reading(path, SIX, exchange="x")
    assert piece.layout == layout
    assert piece.rows.row(0)[1:6] == (10.5, 12.5, 9.5, 11.5, 1.5)
