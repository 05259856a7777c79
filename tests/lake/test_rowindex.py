import random
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.lake import DATASETS, Lake, parquet, rowindex, source
from cq.lake.layout import ROW_GROUP
from cq.lake.rowindex import EVERY

HOUR = 3_600_000_000_000


def stored(folder: Path, times: list[int], **values: pl.Series) -> Path:
    rows = (
        DATASETS["ohlcv"]
        .empty()
        .clear(n=len(times))
        .with_columns(ts=pl.Series(times, dtype=pl.Int64), **values)
    )
    content = parquet.encoded(rows)
    return parquet.place(content, folder, f"file-000000-{parquet.digest(content)}.parquet")


def times(seed: int, count: int) -> list[int]:
    """Times with stretches that are equally far apart, and others that are not."""
    chance, found, at, step = random.Random(seed), [], 0, 1
    while len(found) < count:
        step = chance.choice((step, 1, 3, 7))
        for _ in range(chance.choice((1, 40, 3000))):
            found.append(at)
            at += step
        at += chance.choice((0, 0, 1, 50))
    return found[:count]


@settings(max_examples=60)
@given(st.integers(0, 20), st.sampled_from((1, 2, EVERY, EVERY + 1, 3000, 6007)), st.data())
def test_a_slice_holds_every_row_of_the_range_and_no_other_where_it_says_so(
    tmp_path_factory, seed, count, data
):
    moments = times(seed, count)
    path = stored(tmp_path_factory.mktemp("lake"), moments)
    rows = source.scan([path], DATASETS["ohlcv"]).select("ts")
    edge = st.one_of(st.integers(-3, moments[-1] + 3), st.sampled_from(moments))
    for _ in range(4):
        start, end = data.draw(edge), data.draw(edge)
        wanted = [ts for ts in moments if start <= ts < end]
        rowindex.near(rows, path, start, end)
        sliced, exact = rowindex.near(rows, path, start, end)
        found = sliced.collect()["ts"].to_list()
        assert [ts for ts in found if start <= ts < end] == wanted
        assert not exact or found == wanted
        assert len(found) <= len(wanted) + 2 * EVERY


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_the_most_rows_of_a_slice_in_a_row_group_are_those(first, count):
    parts = Counter(row // ROW_GROUP for row in range(first, first + count))
    assert rowindex._largest(first, count) == max(parts.values(), default=0)


def test_a_long_range_in_one_row_group_is_left_to_the_filter(tmp_path):
    """One thread would decode the slice, two decode for a filter: little goes as a slice."""
    chance = random.Random(1)
    dear = {name: pl.Series([chance.random() for _ in range(60_000)]).round(5)
            for name in ("open", "high", "low", "close", "volume")}  # fmt: skip
    path = stored(tmp_path, list(range(60_000)), **dear)
    assert 40_000 > rowindex.SERIAL * 60_000 / path.stat().st_size > 30_000
    cheap = stored(tmp_path, list(range(60_000)))
    rows = source.scan([path], DATASETS["ohlcv"]).select("ts")
    for end, kept in ((30_000, 30_000), (40_000, 60_000)):
        for _ in range(2):
            sliced, exact = rowindex.near(rows, path, 0, end)
        assert (sliced.collect().height, exact) == (kept, kept == end)
        for _ in range(2):
            sliced, exact = rowindex.near(rows, cheap, 0, end)
        assert exact


def test_among_bars_without_a_hole_nothing_else_is_read(tmp_path):
    path = stored(tmp_path, list(range(0, 60 * 5000, 60)))
    rows = source.scan([path], DATASETS["ohlcv"]).select("ts")
    for _ in range(2):
        sliced, exact = rowindex.near(rows, path, 61, 120 * EVERY)
    assert exact
    assert sliced.collect()["ts"].to_list() == list(range(120, 120 * EVERY, 60))


def test_where_a_time_comes_twice_nothing_is_left_out(tmp_path):
    path = stored(tmp_path, sorted([*range(3000), *range(3000)]))
    rows = source.scan([path], DATASETS["ohlcv"]).select("ts")
    for _ in range(2):
        sliced, exact = rowindex.near(rows, path, 1000, 1100)
    assert not exact
    assert sliced.collect().height == 6000


@pytest.mark.parametrize("hole", [0, 1])
def test_a_range_asked_for_again_and_again_is_the_same(lake, bars, hole):
    whole = bars(5000)
    held = pl.concat([whole.head(2000), whole.slice(2000 + hole)])
    lake.write("ohlcv", held, source="t", now_ns=1)
    first = whole["ts"][0]
    for start, end in ((1500, 2500), (0, 10), (1999, 2001), (4990, 6000)):
        low, high = first + start * HOUR, first + end * HOUR
        wanted = held.filter(pl.col("ts") >= low, pl.col("ts") < high).drop("interval")
        for _ in range(3):
            found = Lake(lake.root).bars("BTC-BRL", "1h", low, high)
            assert_frame_equal(found.collect(), wanted, check_column_order=False)
            assert found.filter(pl.col("close") > 1e9).collect().is_empty()
            assert_frame_equal(found.head(3).collect(), wanted.head(3), check_column_order=False)
