import polars as pl
import pytest
from makers import HOUR, hourly

from cq.errors import DataError, UsageError
from cq.stats import wide, wide_returns
from cq.stats.frames import matrix_of, square, unsquare

BARS = pl.concat([hourly("B-X", [1.0, 2.0, 3.0], start=HOUR), hourly("A-X", [2.0, 4.0, 8.0])])


def test_each_symbol_becomes_a_column_in_time_order():
    found = wide(BARS.reverse().lazy())
    assert found.columns == ["ts", "A-X", "B-X"]
    assert found["A-X"].to_list() == [2.0, 4.0, 8.0, None]
    assert found["B-X"].to_list() == [None, 1.0, 2.0, 3.0]


def test_returns_span_the_same_time_for_every_symbol():
    found = wide_returns(BARS.lazy(), logarithmic=False)
    assert found.rows() == [(2 * HOUR, 1.0, 1.0)]


def test_a_frame_that_is_collected_already_is_taken_too():
    assert wide(BARS).equals(wide(BARS.lazy()))
    assert wide_returns(BARS).equals(wide_returns(BARS.lazy()))


def test_a_symbol_of_two_exchanges_is_refused_in_a_line():
    both = pl.concat([BARS, BARS.with_columns(exchange=pl.lit("other"))])
    with pytest.raises(DataError) as refused:
        wide_returns(both)
    assert str(refused.value).startswith("found two bars of A-X at 0; expected one a moment")


def test_what_cannot_make_a_matrix_is_said():
    with pytest.raises(DataError, match="0 rows have a return of each of A-X"):
        matrix_of(pl.DataFrame({"ts": [1], "A-X": [None]}, schema_overrides={"A-X": pl.Float64}))
    with pytest.raises(UsageError, match="a column a symbol"):
        matrix_of(pl.DataFrame({"ts": [1]}))
    with pytest.raises(DataError, match="not a finite number"):
        matrix_of(pl.DataFrame({"A-X": [1.0, float("inf")]}))


def test_a_square_frame_is_the_matrix_with_names():
    names, rows = matrix_of(pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    again, matrix = unsquare(square(names, rows))
    assert again == ["a", "b"]
    assert (matrix == rows).all()
