import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.lake.row_groups import AT_ONCE, NotArrays, row_groups

EACH = 7
"""Rows of a row group."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Ten row groups and a half; two rows lie at each tenth moment."""
    ts = np.arange(10 * EACH + 3, dtype=np.int64) * 10
    ts[5::10] = ts[4::10]
    path = tmp_path_factory.mktemp("groups") / "rows.parquet"
    table = pa.table({"ts": ts, "close": ts / 7, "word": ["a"] * ts.size})
    pq.write_table(table, path, row_group_size=EACH, store_schema=False)
    return path, ts


@given(start=st.integers(-20, 750), length=st.integers(1, 750), shares=st.integers(1, 12))
def test_the_rows_of_any_range_come_once_and_in_order(file, start, length, shares):
    path, ts = file
    end = start + length
    times, closes = [], []
    for share in range(shares):
        for rows in row_groups(path, start, end, (share, shares)):
            assert 0 < rows("ts").size <= AT_ONCE * EACH
            times += rows("ts").tolist()
            closes += rows("close").tolist()
    expected = ts[(ts >= start) & (ts < end)]
    assert times == expected.tolist()
    assert closes == (expected / 7).tolist()


def test_what_is_no_number_is_said_to_be_none(file):
    first = next(row_groups(file[0], 0, 1000))
    for name in ("word", "volume"):
        with pytest.raises(NotArrays):
            first(name)
