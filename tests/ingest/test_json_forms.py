import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UnknownLayout
from cq.ingest.json_forms import column_arrays, matrix, record_lines, records, rows_like

HERE = Path("some.json")


def test_arrays_of_arrays_keep_every_digit():
    table = matrix(HERE, "[[1723161253937085769, 1.5, null], [2, 3]]", 3)
    assert table.rows() == [("1723161253937085769", "1.5", None), ("2", "3", None)]


@pytest.mark.parametrize(
    "text",
    [
        "[[1,2.5,null],[3,4,5]]",
        "[[1, 2.5, null], [3, 4, 5]]",
        " [ [1,2.5,null] ,\n [3,4,5] ] \n",
        '[["1","2.5",null],["3","4","5"]]',
        '[["1", "2.5", null], ["3", 4, 5]]',
        "[[1,2.5],[3,4,5]]",
    ],
)
def test_blanks_and_quotes_make_no_difference(text):
    assert matrix(HERE, text, 3).rows() == [("1", "2.5", None), ("3", "4", "5")]


@pytest.mark.parametrize("cell", ["a, b", 'say \\"x\\"', "[x]", "ü\\n"])
def test_strange_texts_in_cells_survive(cell):
    text = f'[["{cell}", 1], ["y", 2]]'
    assert matrix(HERE, text, 2).row(0) == (json.loads(f'"{cell}"'), "1")


def test_more_cells_than_asked_for_are_left_out():
    assert matrix(HERE, "[[1,2],[3,4,5]]", 2).rows() == [("1", "2"), ("3", "4")]


def test_objects_give_the_named_columns_and_null_where_one_lacks_a_key():
    table = records(HERE, '[{"a": 1, "b": "x"}, {"b": 2.5, "c": 3}]', ("a", "b"))
    assert table.rows() == [("1", "x"), (None, "2.5")]


@pytest.mark.parametrize(
    ("text", "rows", "unlike"),
    [
        ('[[1, "x"], {"a": 1}, [2, "y"]]', [("1", "x"), ("2", "y")], ['{"a": 1}']),
        ('[[1, 2], [3, {"b": 2}], 5]', [("1", "2")], ['[3, {"b": 2}]', "5"]),
        ('[{"a": 1, "b": 2}, 5, [6]]', [("1", "2")], ["5", "[6]"]),
        ('[{"a": 1, "b": 2}, {"a": [1]}, {"b": 3}]', [("1", "2"), (None, "3")], ['{"a": [1]}']),
    ],
)
def test_rows_unlike_the_first_are_kept_as_they_are(text, rows, unlike):
    table, others = rows_like(HERE, text, json.loads(text)[0])
    assert table.rows() == rows
    assert others.to_list() == unlike


def test_rows_that_are_all_alike_leave_none_apart():
    assert rows_like(HERE, "[[1], [2]]", [1])[1] is None
    for cut in ("[[1, 2], [3", '[[1, "x"'):
        with pytest.raises(UnknownLayout, match="not whole JSON"):
            rows_like(HERE, cut, [1, 2])


def test_a_line_is_an_object():
    lines = pl.Series(['{"a": 1}', '{"a": "2"}'])
    assert record_lines(HERE, lines, ("a",)).rows() == [("1",), ("2",)]


def test_columns_as_arrays_must_be_of_one_length():
    table = column_arrays(HERE, {"t": [1, 2], "o": ["3", "4.5"]}, ("t", "o"))
    assert table.rows() == [("1", "3"), ("2", "4.5")]
    with pytest.raises(UnknownLayout, match="of one length"):
        column_arrays(HERE, {"t": [1, 2], "o": ["3"]}, ("t", "o"))
    with pytest.raises(UnknownLayout, match="found t"):
        column_arrays(HERE, {"t": [1, 2]}, ("t", "o"))


@pytest.mark.parametrize("text", ["[[1, 2", '[["a"', "[[1,2],"])
def test_json_that_was_cut_short_is_said_in_one_line(text):
    with pytest.raises(UnknownLayout, match="not whole JSON") as caught:
        matrix(HERE, text, 2)
    assert "\n" not in str(caught.value)


def test_a_line_that_is_no_json_is_said():
    with pytest.raises(UnknownLayout, match="not JSON"):
        record_lines(HERE, pl.Series(['{"a": 1']), ("a",))


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_numbers_survive_the_way_through_text(rows):
    table = matrix(HERE, json.dumps(rows), 2)
    assert table["column_1"].cast(pl.Int64).to_list() == [whole for whole, _ in rows]
    assert table["column_2"].cast(pl.Float64).to_list() == [number for _, number in rows]
