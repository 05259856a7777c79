import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UnknownLayout
from cq.ingest.pieces import BROKEN, Request
from cq.ingest.stamps import Stamp
from cq.ingest.tables import Table, normalise

HERE = Path("some.csv")
NAMES = ("ts", "open", "high", "low", "close", "volume")
NOW = 1_795_000_000_000_000_000  # 2026-11-18
BARS = Table({name: name for name in NAMES}, symbol="BTC-USD", exchange="x", interval="1m")


def asked(**options):
    return Request(**({"dataset": "ohlcv", "now_ns": NOW} | options))


def bars(*rows, **columns):
    return pl.DataFrame(
        list(rows), schema=dict.fromkeys(NAMES, pl.String), orient="row"
    ).with_columns(**{name: pl.Series(values) for name, values in columns.items()})


GOOD = ("1700000000", "10", "12", "9", "11", "1")


def test_text_becomes_the_lakes_columns():
    piece = normalise(HERE, bars(GOOD), BARS, asked())
    assert piece.rows.to_dicts() == [
        {
            "ts": 1_700_000_000 * 10**9,
            "open": 10.0,
            "high": 12.0,
            "low": 9.0,
            "close": 11.0,
            "volume": 1.0,
            "symbol": "BTC-USD",
            "exchange": "x",
            "interval": "1m",
        }
    ]
    assert piece.broken.is_empty()
    assert piece.notes == ("ts epoch s", "symbol BTC-USD", "exchange x", "interval 1m")


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        (("never", *GOOD[1:]), ["ts_present"]),
        ((None, *GOOD[1:]), ["ts_present"]),
        ((GOOD[0], "ten", *GOOD[2:]), ["not_a_number"]),
        ((GOOD[0], "1,5", *GOOD[2:]), ["not_a_number"]),
        (("never", "ten", *GOOD[2:]), ["ts_present", "not_a_number"]),
    ],
)
def test_rows_that_cannot_be_read_are_kept_with_every_reason(row, rules):
    piece = normalise(HERE, bars(GOOD, row), BARS, asked())
    assert piece.rows.height == 1
    (broken,) = piece.broken.to_dicts()
    assert broken["broken"] == rules
    assert broken["symbol"] == "BTC-USD"
    assert json.loads(broken["row"]) == dict(zip(NAMES, row, strict=True))
    assert piece.broken.schema == pl.Schema(BROKEN)


def test_an_empty_number_is_left_to_the_lakes_rules():
    piece = normalise(HERE, bars((GOOD[0], "", *GOOD[2:])), BARS, asked())
    assert piece.rows["open"].to_list() == [None]
    assert piece.broken.is_empty()


def test_a_decimal_comma_is_read_where_it_is_said():
    table = Table(BARS.columns, symbol="BTC-BRL", exchange="x", interval="1m", decimal=",")
    piece = normalise(
        HERE, bars((GOOD[0], "1.234,5", "2.000", "1,5", "1.999,99", "0,1")), table, asked()
    )
    assert piece.rows.row(0)[1:6] == (1234.5, 2000.0, 1.5, 1999.99, 0.1)


def test_options_win_over_columns_and_columns_over_the_layout():
    columns = BARS.columns | {"symbol": "symbol", "exchange": "exchange"}
    table = Table(columns, symbol="NO-NO", exchange="no", interval="1m")
    raw = bars(GOOD, symbol=["ETHUSD"], exchange=["kraken"])
    piece = normalise(HERE, raw, table, asked())
    assert piece.rows.select("symbol", "exchange").row(0) == ("ETH-USD", "kraken")
    piece = normalise(HERE, raw, table, asked(symbol="BTC-BRL", exchange="mb", interval="1h"))
    assert piece.rows.select("symbol", "exchange", "interval").row(0) == ("BTC-BRL", "mb", "1h")


def test_several_values_and_an_option_contradict():
    table = Table(BARS.columns | {"exchange": "exchange"}, symbol="BTC-USD", interval="1m")
    raw = bars(GOOD, GOOD, exchange=["a", "b"])
    with pytest.raises(UnknownLayout, match="holds 2 exchanges"):
        normalise(HERE, raw, table, asked(exchange="c"))


@pytest.mark.parametrize(
    ("table", "option"),
    [
        (Table(BARS.columns, exchange="x", interval="1m"), "--symbol"),
        (Table(BARS.columns, symbol="BTC-USD", interval="1m"), "--exchange"),
        (Table(BARS.columns, symbol="BTC-USD", exchange="x"), "--interval"),
    ],
)
def test_what_nobody_says_is_asked_for(table, option):
    with pytest.raises(UnknownLayout, match=option):
        normalise(HERE, bars(GOOD), table, asked())


def test_an_interval_is_told_from_the_steps_and_said():
    table = Table(BARS.columns, symbol="BTC-USD", exchange="x")
    rows = [(str(1_700_000_000 + 900 * n), *GOOD[1:]) for n in (0, 1, 2, 5, 6)]
    piece = normalise(HERE, bars(*rows), table, asked())
    assert piece.rows["interval"].unique().to_list() == ["15m"]
    assert "interval 15m (the most common step)" in piece.notes


def test_an_odd_step_asks_for_the_interval():
    table = Table(BARS.columns, symbol="BTC-USD", exchange="x")
    rows = [(str(1_700_000_000 + 7 * n), *GOOD[1:]) for n in range(3)]
    with pytest.raises(UnknownLayout, match="7 s apart"):
        normalise(HERE, bars(*rows), table, asked())


def test_missing_columns_are_named_with_those_there_are():
    with pytest.raises(UnknownLayout, match="lacks volume; found columns ts, open"):
        normalise(HERE, bars(GOOD).drop("volume"), BARS, asked())
    with pytest.raises(UnknownLayout, match="says nothing of volume"):
        normalise(HERE, bars(GOOD), Table({name: name for name in NAMES[:5]}), asked())


def test_numbers_that_are_no_times_are_not_taken_for_some():
    with pytest.raises(UnknownLayout, match="before any market"):
        normalise(HERE, bars(("60000", *GOOD[1:])), BARS, asked())


@pytest.mark.parametrize(("interval", "length"), [("1m", 60), ("1h", 3600), ("1d", 86400)])
def test_a_bar_that_ends_after_now_is_not_closed(interval, length):
    now = NOW // 10**9
    rows = [(str(now - length * n - 1), *GOOD[1:]) for n in range(3)]
    piece = normalise(HERE, bars(*rows), BARS, asked(interval=interval))
    assert piece.rows.height == 2
    assert piece.broken["broken"].to_list() == [["bar_closed"]]


def test_a_month_closes_with_its_last_day():
    november, october = "1793491200", "1790812800"  # 2026-11-01, 2026-10-01
    rows = [(november, *GOOD[1:]), (october, *GOOD[1:])]
    piece = normalise(HERE, bars(*rows), BARS, asked(interval="1M"))
    assert piece.rows["ts"].to_list() == [int(october) * 10**9]


@pytest.mark.parametrize("interval", ["1m", "1w", "1M"])
def test_a_bar_at_the_end_of_time_is_not_closed(interval):
    """Its end is beyond 64 bits."""
    rows = [(str(2**63 - 1), *GOOD[1:]), ("1700000000000000000", *GOOD[1:])]
    raw = bars(*rows).with_columns(pl.col("ts").cast(pl.Int64))
    piece = normalise(HERE, raw, BARS, asked(interval=interval))
    assert piece.rows["ts"].to_list() == [1_700_000_000 * 10**9]
    assert piece.broken["broken"].to_list() == [["bar_closed"]]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pl.struct(amount="close"), "a struct"),
        (pl.concat_list("close"), "a list"),
        (pl.lit(b"11"), "of type Binary"),
        (pl.lit(value=True), "of type Boolean"),
        (pl.date(2024, 1, 1), "of type Date"),
    ],
)
def test_a_price_that_is_neither_text_nor_number_is_refused_in_one_line(column, kind):
    with pytest.raises(UnknownLayout, match=f"column close is {kind}; expected numbers or text"):
        normalise(HERE, bars(GOOD).with_columns(close=column), BARS, asked())


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        (
            0,
            "01/02/2021",
            "column ts holds no times (ISO text in UTC), it starts with '01/02/2021'",
        ),
        (4, "1.234,5", "column close holds no numbers, it starts with '1.234,5'"),
    ],
)
def test_a_column_that_is_unreadable_throughout_is_a_wrong_layout(place, text, said):
    row = [*GOOD[:place], text, *GOOD[place + 1 :]]
    with pytest.raises(UnknownLayout) as caught:
        normalise(HERE, bars(row, row), BARS, asked())
    assert said in str(caught.value)
    assert "--mapping FILE" in str(caught.value)


def test_a_lone_stamp_that_is_unreadable_is_a_wrong_layout_and_a_lone_number_a_broken_row():
    with pytest.raises(UnknownLayout, match=r"column ts holds no times .* starts with 'foo'"):
        normalise(HERE, bars(("foo", *GOOD[1:])), BARS, asked(interval="1m"))
    piece = normalise(HERE, bars((GOOD[0], "ten", *GOOD[2:])), BARS, asked())
    assert piece.broken["broken"].to_list() == [["not_a_number"]]


def test_bars_that_lie_closer_than_their_name_says_are_questioned():
    rows = [(str(1_700_000_000 + 60 * n), *GOOD[1:]) for n in range(3)]
    table = Table(BARS.columns, symbol="BTC-USD", exchange="x", interval="1h")
    said = "is said to hold bars of 1h, but its bars step by 1m; say --interval 1m"
    with pytest.raises(UnknownLayout, match=said):
        normalise(HERE, bars(*rows), table, asked())
    with pytest.raises(UnknownLayout, match=said):
        normalise(HERE, bars(*rows), BARS, asked(interval="1h"))
    assert normalise(HERE, bars(*rows), table, asked(interval="1m")).rows.height == 3
    odd = [(str(1_700_000_000 + 7 * n), *GOOD[1:]) for n in range(3)]
    with pytest.raises(UnknownLayout, match="step by 7 s; say which with --interval"):
        normalise(HERE, bars(*odd), BARS, asked(interval="1h"))


def test_bars_that_lie_wider_apart_than_stated_are_taken_and_it_is_said():
    rows = [(str(1_700_000_000 + 240 * n), *GOOD[1:]) for n in range(3)]
    said = "its bars mostly step by 4m, not by 1m"
    assert said in normalise(HERE, bars(*rows), BARS, asked(interval="1m")).notes
    assert f"interval 1m, {said}" in normalise(HERE, bars(*rows), BARS, asked()).notes


@pytest.mark.parametrize(
    ("days", "interval"),
    [((1, 29), "1M"), ((1, 31), "1M"), ((1, 29), "4w"), ((1, 2), "1d"), ((1, 1 + 23 / 24), "1d")],
)
def test_months_and_summer_time_are_no_contradiction(days, interval):
    rows = [(str(int(1_700_006_400 + 86_400 * day)), *GOOD[1:]) for day in days]
    piece = normalise(HERE, bars(*rows), BARS, asked(interval=interval))
    assert piece.rows.height == 2
    assert not any("step" in note for note in piece.notes)


@pytest.mark.parametrize("sentinel", ["0", "-1", "-86400", "1230940799"])
@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_a_stamp_that_stands_for_none_is_no_old_bar(sentinel, unit):
    rows = [(str((1_700_000_000 + 900 * n) * unit), *GOOD[1:]) for n in range(2)]
    table = Table(BARS.columns, symbol="BTC-USD", exchange="x")
    typed = bars(*rows, (sentinel, *GOOD[1:])).with_columns(pl.col("ts").cast(pl.Int64))
    for raw in (typed, typed.with_columns(pl.col("ts").cast(pl.String))):
        piece = normalise(HERE, raw, table, asked())
        assert piece.rows["interval"].to_list() == ["15m", "15m"]
        assert piece.broken["broken"].to_list() == [["ts_not_before_2009"]]


@pytest.mark.parametrize(
    ("good", "sentinel", "stamp"),
    [
        ("2021-02-01", "1970-01-01", Stamp()),
        ("2021-02-01 00:00:00", "0001-01-01 00:00:00", Stamp()),
        ("01/02/2021", "01/01/1970", Stamp(pattern="%d/%m/%Y")),
        ("20210201", "19700101", Stamp(unit="yyyymmdd")),
        ("1612137600000", "0", Stamp(unit="ms")),
    ],
)
def test_no_form_of_stamp_lets_a_bar_before_bitcoin_in(good, sentinel, stamp):
    table = Table(BARS.columns, stamp, symbol="BTC-USD", exchange="x", interval="1d")
    raw = bars((good, *GOOD[1:]), (sentinel, *GOOD[1:]))
    piece = normalise(HERE, raw, table, asked())
    assert piece.rows.height == 1
    assert piece.broken["broken"].to_list() in ([["ts_not_before_2009"]], [["ts_present"]])


def test_a_unit_that_puts_every_row_before_bitcoin_is_wrong():
    table = Table(BARS.columns, Stamp(unit="ns"), symbol="BTC-USD", exchange="x", interval="1m")
    with pytest.raises(UnknownLayout, match="before any market"):
        normalise(HERE, bars(GOOD), table, asked())


def test_lines_that_fit_no_columns_are_kept_with_what_the_file_says():
    piece = normalise(HERE, bars(GOOD), BARS, asked(), pl.Series("row", ["1,2,3,4,5,6,7,8"]))
    (broken,) = piece.broken.to_dicts()
    assert (broken["broken"], broken["symbol"]) == (["field_count"], "BTC-USD")
    assert broken["row"] == "1,2,3,4,5,6,7,8"


def test_no_rows_are_fine():
    piece = normalise(HERE, bars(), BARS, asked())
    assert piece.rows.is_empty()
    assert piece.broken.is_empty()


@pytest.mark.parametrize("kind", [pl.Categorical(), pl.Enum(["11"]), pl.Decimal(10, 2), pl.UInt8()])
def test_numbers_of_any_type_and_words_that_are_numbers_are_prices(kind):
    raw = bars(GOOD).with_columns(pl.col("close").cast(kind))
    assert normalise(HERE, raw, BARS, asked()).rows["close"].to_list() == [11.0]


def test_typed_columns_are_taken_without_a_detour():
    raw = bars(GOOD).select(
        pl.col("ts").cast(pl.Int64) * 10**9, pl.col(*NAMES[1:]).cast(pl.Float64)
    )
    assert normalise(HERE, raw, BARS, asked()).rows["ts"].to_list() == [1_700_000_000 * 10**9]


TRADE = Table({"ts": "ts", "price": "price", "size": "size"}, Stamp("s"), "BTC-BRL", "mb")


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(1_300_000_000, 1_700_000_000).map(str), st.just("?")),
            st.one_of(st.floats(0.01, 1e6).map(repr), st.sampled_from(["", "x", "nan"])),
            st.floats(0.001, 10).map(repr),
        ),
        max_size=30,
    )
)
def test_every_row_is_read_or_kept_never_lost(rows):
    rows = [*rows, ("1500000000", "5.0", "1.0")]
    raw = pl.DataFrame(rows, schema=dict.fromkeys(("ts", "price", "size"), pl.String), orient="row")
    piece = normalise(HERE, raw, TRADE, asked(dataset="trades"))
    unreadable = sum(ts == "?" or price == "x" for ts, price, _ in rows)
    assert piece.broken.height == unreadable
    assert piece.rows.height == len(rows) - unreadable
    assert piece.rows["trade_id"].n_unique() == piece.rows.height
