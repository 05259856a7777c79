import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.ingest.delimited import read_delimited, shape_of, unique_names


def read(text):
    return read_delimited(text.encode(), shape_of(text))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_lines_share(separator):
    text = "".join(separator.join(row) + "\n" for row in (["a", "b", "c"], ["1", "2", "3"]))
    shape = shape_of(text)
    assert (shape.separator, shape.header, shape.width) == (separator, ("a", "b", "c"), 3)


def test_numbers_in_the_first_line_mean_that_there_is_no_header():
    assert shape_of("1514764800000,1,2,3,4,5\n").header is None
    assert shape_of("20141201 00:00,300,370,300,370,0.05\n").header is None
    assert shape_of("2019-10-17,BTCUSD,1,2,3,4\n").header is None
    assert shape_of("ts,o,h,l,c,v\n1,2,3,4,5,6\n").header == ("ts", "o", "h", "l", "c", "v")


def test_a_banner_before_the_header_is_skipped():
    text = "Created on 10-17-2019,https://example.org\ndate,open,high\n2019-10-17,1,2\n"
    shape = shape_of(text)
    assert (shape.banner, shape.header) == (1, ("date", "open", "high"))
    assert read(text)[0].rows() == [("2019-10-17", "1", "2")]


def test_an_unnamed_index_and_a_quoted_comma_keep_their_columns():
    table, _ = read(',open time,"Unused field, ignore"\n0,167,0\n')
    assert table.columns == ["column_1", "open time", "Unused field, ignore"]
    assert table.row(0) == ("0", "167", "0")


def test_repeated_names_are_told_apart_by_position():
    assert unique_names(("a", "", "a", "b")) == ["a", "column_2", "column_3", "b"]


def test_every_line_ending_and_a_missing_last_one_are_fine():
    for ending in ("\n", "\r\n"):
        text = ending.join(["a,b", "1,2", "3,4"])
        assert read(text)[0].rows() == [("1", "2"), ("3", "4")]


def test_empty_lines_are_no_rows():
    assert read("\na,b\n\n1,2\n\n\n3,4\n\n")[0].rows() == [("1", "2"), ("3", "4")]


def test_short_lines_end_in_nulls_and_long_ones_are_kept_apart():
    table, spoiled = read("a,b\n1,2\n3,4,5\n6\n")
    assert table.rows() == [("1", "2"), ("6", None)]
    assert spoiled.to_list() == ["3,4,5"]


def test_the_first_row_may_be_the_odd_one():
    table, spoiled = read("a,b\n3,4,5\n1,2\n")
    assert table.rows() == [("1", "2")]
    assert spoiled.to_list() == ["3,4,5"]
    assert read("a,b\n3\n1,2\n")[0].rows() == [("3", None), ("1", "2")]


def test_a_quoted_comma_does_not_make_a_line_long():
    table, spoiled = read('a,b\n"1,5",2\n3,4,5\n')
    assert table.rows() == [("1,5", "2")]
    assert spoiled.to_list() == ["3,4,5"]


def test_a_header_alone_is_a_table_without_rows():
    table, spoiled = read("ts,open,high\n")
    assert table.columns == ["ts", "open", "high"]
    assert table.height == len(spoiled) == 0


def test_bytes_that_are_no_utf8_lose_only_themselves():
    content = b"name,price\nS\xe3o,5\n"
    table, _ = read_delimited(content, shape_of(content.decode("utf-8", "replace")))
    assert table["price"].to_list() == ["5"]


@given(
    st.lists(
        st.tuples(st.integers(0, 10**19), st.floats(0, 1e9), st.sampled_from(["", "x", "1e5"])),
        min_size=1,
        max_size=40,
    )
)
def test_every_field_comes_back_as_it_was_written(rows):
    text = "n,price,remark\n" + "".join(f"{n},{price!r},{remark}\n" for n, price, remark in rows)
    table, spoiled = read(text)
    expected = [(str(n), repr(price), remark or None) for n, price, remark in rows]
    assert table.rows() == expected
    assert len(spoiled) == 0
    assert set(table.dtypes) == {pl.String}


def test_an_empty_line_before_the_only_one_is_no_line():
    shape = shape_of("\na,b")
    assert (shape.header, shape.first_fields) == (("a", "b"), ["a", "b"])


@pytest.mark.parametrize(
    "text",
    [
        "time;open;high;low;close;volume\n2024-01-01;1,5;2,5;1,0;2,0;10,0\n",
        "Emitido em 02/02/2021, as 10h\nData;A;B;C;D;V\n" + "2024-01-01;1,5;2,5;1,0;2,0;10,0\n" * 9,
        "1704067200;1,5;2,5;1,0;2,0;10,0\n",
        "t;o;h;l;c;v\n" + "1704067200;210.000,50;2,5;1,0;2,0;10,0\n" * 3,
    ],
)
def test_the_headers_separator_wins_over_decimal_commas(text):
    shape = shape_of(text)
    assert (shape.separator, shape.width) == (";", 6)
    assert read(text)[0].row(0)[5] == "10,0"


def test_a_separator_inside_the_fields_is_none():
    assert shape_of("id,tags\n1,a;b\n2,c;d\n").separator == ","
    assert shape_of("ts,bids\n170,1;2;3\n171,4;5;6\n").separator == ","
