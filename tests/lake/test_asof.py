import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import UsageError
from cq.lake.asof import asof

KEYS = st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, 12)), max_size=20)


def frame(keys: list[tuple[str, int]], name: str) -> pl.DataFrame:
    rows = [(symbol, ts, i) for i, (symbol, ts) in enumerate(sorted(keys))]
    return pl.DataFrame(
        rows, schema={"symbol": pl.String, "ts": pl.Int64, name: pl.Int64}, orient="row"
    )


@given(KEYS, KEYS, st.integers(0, 5))
def test_each_row_gets_the_newest_that_was_known(left, right, delay):
    rows, known = frame(left, "row"), frame(right, "bar")
    expected = [
        max((b for s, at, b in known.iter_rows() if s == symbol and at + delay <= ts), default=None)
        for symbol, ts, _ in rows.iter_rows()
    ]
    found = asof(rows, known, delay_ns=delay)
    assert_frame_equal(found, rows.with_columns(bar=pl.Series(expected, dtype=pl.Int64)))


def test_rows_in_another_order_are_refused():
    rows = frame([("A", 1), ("B", 2)], "row")
    with pytest.raises(UsageError, match=r"not sorted by symbol; sort them by \(symbol, ts\)"):
        asof(rows.reverse(), rows.rename({"row": "bar"}))
    with pytest.raises(pl.exceptions.InvalidOperationError):
        asof(rows.with_columns(symbol=pl.lit("A")).reverse(), rows.rename({"row": "bar"}))
