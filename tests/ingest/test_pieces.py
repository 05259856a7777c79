from pathlib import Path

import polars as pl
import pytest

from cq.errors import UnknownLayout
from cq.ingest.pieces import Piece, as_written, decided

HERE = Path("some.csv")


def test_an_option_wins_then_a_column_then_the_layout():
    column = pl.Series(["a"])
    assert decided(HERE, "symbol", "X-Y", column, "z") == ("X-Y", "")
    found, said = decided(HERE, "symbol", None, column, "z")
    assert isinstance(found, pl.Series)
    assert said == ""
    assert decided(HERE, "exchange", None, None, "z") == ("z", "exchange z")


def test_contradiction_and_silence_are_errors_with_advice():
    with pytest.raises(UnknownLayout, match=r"holds 6 symbols \(a, b, c, d, e, …\)"):
        decided(HERE, "symbol", "X-Y", pl.Series(list("abcdef")), None)
    with pytest.raises(UnknownLayout, match="--symbol BASE-QUOTE"):
        decided(HERE, "symbol", None, None, None)


def test_rows_are_kept_as_text():
    rows = pl.DataFrame({"a": ["x", None], "b": [1, 2]})
    assert as_written(rows).to_list() == ['{"a":"x","b":1}', '{"a":null,"b":2}']
    assert as_written(rows.clear()).to_list() == []


def test_numbers_that_json_lacks_are_kept_as_well():
    rows = pl.DataFrame({"a": [float("nan"), float("inf"), 1.5]})
    written = as_written(rows).to_list()
    assert "NaN" in written[0]
    assert "inf" in written[1]


def test_notes_are_added_in_front_and_empty_ones_dropped():
    piece = Piece(pl.DataFrame(), notes=("b",)).noting("a", "")
    assert piece.notes == ("a", "b")
