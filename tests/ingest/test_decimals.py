from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UnknownLayout
from cq.ingest.decimals import decimal_of, with_point

HERE = Path("some.csv")


def mark(*numbers, separator=";"):
    return decimal_of(HERE, [pl.Series("open", numbers, pl.String)], separator)


def read(text):
    return pl.select(with_point(pl.lit(text)).cast(pl.Float64, strict=False)).item()


@pytest.mark.parametrize(
    "number", ["1,5", "10,00", "0,125", ",5", "1234,567", "210.000,50", "1.234,567", "1.234.567"]
)
def test_a_number_that_cannot_be_anything_else_tells_the_comma(number):
    assert mark(number) == ","
    assert mark("12", number, None, "1.500", "1,250", "") == ","


@pytest.mark.parametrize(
    "number", ["1.5", "10.00", "0.125", ".5", "1234.567", "210,000.50", "1,234,567", "1.5e-7"]
)
def test_a_number_that_cannot_be_anything_else_tells_the_point(number):
    assert mark(number) == "."
    assert mark("12", number, None, "1.500", "") == "."


@pytest.mark.parametrize(
    ("numbers", "separator"), [(["1.234"], ";"), (["1,234", "7"], ";"), (["1,234"], ",")]
)
def test_numbers_that_may_be_either_ask_for_a_mapping_in_one_line(numbers, separator):
    with pytest.raises(UnknownLayout, match="may mark decimals or thousands") as caught:
        mark(*numbers, separator=separator)
    for part in (numbers[0], "--mapping FILE", "decimal", "separator", "encoding"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_point_is_a_decimal_one_where_no_semicolon_says_otherwise():
    assert mark("1.234", separator=",") == "."
    assert mark("1", "2") == "."
    assert mark("ten", "a,b", None) == "."


def test_a_few_of_the_other_kind_are_left_for_rejection_but_not_many():
    assert mark(*["1,5"] * 50, "2.5") == ","
    assert mark(*["1.5"] * 50, "2,5") == "."
    with pytest.raises(
        UnknownLayout, match=r"decimal comma \(1,5\) and with a decimal point \(2.5"
    ):
        mark("1,5", "2.5")


@given(st.decimals(-(10**9), 10**9, places=2))
def test_what_brazil_writes_is_read_as_it_was_meant(number):
    text = f"{number:,.2f}".translate(str.maketrans(",.", ".,"))
    assert read(text) == float(number)
    assert mark(text) == ","


@pytest.mark.parametrize("text", ["1.5", "1.50,3", "1,5,3", "1.2345", "12,5.000"])
def test_points_that_stand_elsewhere_make_no_number(text):
    assert read(text) is None
