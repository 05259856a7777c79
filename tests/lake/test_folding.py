"""Bars folded of arrays are those that `resampled` says, to the bit, or none at all."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.lake import folding
from cq.lake.folding import blocks_of, fold, frame_of
from cq.lake.resample import offset, resampled
from cq.utils.time import DAY, MINUTE, interval_ns

MEASURES = ("open", "high", "low", "close", "volume")
prices = st.floats(0.01, 1e6)
volumes = st.one_of(st.just(0.0), st.floats(1e-8, 1e5), st.sampled_from([0.1, 1e-8, 3e9]))


def frame(rows, ends=()):
    """Bars, in as many pieces of memory as there are ends of one, and one more."""
    schema = {"ts": pl.Int64, **dict.fromkeys(MEASURES, pl.Float64)}
    whole = pl.DataFrame(rows, schema=schema, orient="row")
    edges = [0, *sorted({end for end in ends if 0 < end < len(rows)}), len(rows)]
    pieces = [whole[a:b] for a, b in pairwise(edges)]
    return pl.concat(pieces, rechunk=False)


def folded(bars, interval):
    return fold(blocks_of(bars), [name for name in MEASURES if name in bars.columns], interval)


def made(bars, interval):
    found = folded(bars, interval)
    assert found is not None
    return frame_of(found)


@st.composite
def finer(draw):
    minutes = draw(st.lists(st.integers(0, 40_000), min_size=1, max_size=60, unique=True))
    cells = [(draw(prices), draw(prices), draw(prices), draw(prices), draw(volumes))
             for _ in minutes]  # fmt: skip
    return [(minute * MINUTE, *cell) for minute, cell in zip(sorted(minutes), cells, strict=True)]


@given(finer(), st.lists(st.integers(0, 60), max_size=8), st.sampled_from(["2m", "1h", "1d", "1w"]))
def test_what_is_folded_is_what_resampling_says(rows, ends, interval):
    bars = frame(rows, ends)
    said = resampled(bars.lazy(), interval, ()).collect()
    found = folded(bars, interval)
    assert found is not None
    assert frame_of(found).equals(said)


@given(finer(), st.lists(st.integers(0, 60), max_size=8))
def test_a_volume_is_rounded_once(rows, ends):
    days = [[row[5] for row in rows if row[0] // (1440 * MINUTE) == day]
            for day in sorted({row[0] // (1440 * MINUTE) for row in rows})]  # fmt: skip
    assert made(frame(rows, ends), "1d")["volume"].to_list() == [math.fsum(day) for day in days]


def test_sums_that_floats_would_round_on_the_way_are_exact():
    amounts = [512.0, 2.0**-18, 2.0**-18, 0.1, 0.2, 0.3] * 500
    rows = [(i * MINUTE, 1.0, 1.0, 1.0, 1.0, amount) for i, amount in enumerate(amounts)]
    sums = made(frame(rows, [700, 1999]), "2d")["volume"].to_list()
    assert sums == [math.fsum(amounts[:2880]), math.fsum(amounts[2880:])]
    assert sums[0] != sum(amounts[:2880]), "or this says nothing"


def test_a_bucket_that_goes_on_in_the_next_piece_of_memory_is_one():
    rows = [(i * MINUTE, 1.0 + i, 9.0 - i % 3, 1.0 + i % 2, 5.0 + i, 1.0) for i in range(6)]
    found = made(frame(rows, [1, 2, 5]), "1h")
    assert found.rows() == [(0, 1.0, 9.0, 1.0, 10.0, 6.0)]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1.0, 1e30, 1e-12])
def test_volumes_that_floats_cannot_sum_exactly_are_left_to_others(odd):
    rows = [(i * MINUTE, 1.0, 1.0, 1.0, 1.0, volume) for i, volume in enumerate([1.0, odd, 2.0])]
    assert folded(frame(rows), "1h") is None


def test_volumes_far_apart_are_parted_twice():
    amounts = [1e9, 1e-8, 0.1, 123456.789, 1e-7, 3e9, 2.0**-20, 0.3] * 7
    rows = [(i * MINUTE, 1.0, 1.0, 1.0, 1.0, volume) for i, volume in enumerate(amounts)]
    for ends in ([], [5, 30]):
        assert made(frame(rows, ends), "1h")["volume"].to_list() == [math.fsum(amounts)]


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True),
    st.sampled_from(["5m", "1h", "1w"]), st.integers(-3, 3), st.integers(0, 59),
)  # fmt: skip
def test_buckets_begin_where_their_numbers_change_whatever_lies_between(minutes, size, weeks, off):
    length, grid = interval_ns(size), offset(size)
    ts = np.sort(np.array(minutes)) * MINUTE + weeks * 7 * DAY + off * 1_000_000_000
    starts, number, rows = folding._runs(ts, length, grid, np.empty(ts.size, np.int64))
    expected = (ts - grid) // length
    assert number.tolist() == sorted(set(expected.tolist()))
    assert starts.tolist() == [expected.tolist().index(one) for one in number.tolist()]
    most = max(np.bincount(expected - expected[0]))
    assert most <= rows <= ts.size


def test_regular_rows_are_told_apart_without_a_look_at_each():
    ts = np.arange(7, 700) * MINUTE
    assert folding._steady(ts, interval_ns("1h"), 0) is not None
    assert folding._steady(np.delete(ts, 300), interval_ns("1h"), 0) is None


def test_too_many_volumes_too_far_apart_are_left_to_others():
    amounts = np.full(140_000, 0.1)
    amounts[:2] = 2.6e8, 1e-8
    bars = pl.DataFrame({"ts": np.arange(140_000) * 1_000_000_000, "volume": amounts})
    assert folded(bars, "1w") is None
    assert folded(bars.head(100_000), "1w") is not None


@given(st.lists(st.tuples(*[st.floats(-1e15, 1e15)] * 3), min_size=1, max_size=20))
def test_three_floats_are_summed_with_one_rounding(rows):
    columns = [np.array(one) for one in zip(*rows, strict=True)]
    assert folding._rounded_once(*columns).tolist() == [math.fsum(row) for row in rows]


@given(st.integers(-(2**53), 2**53), st.sampled_from([-1.0, 1.0]), st.integers(-120, -54))
def test_what_lies_a_hair_beside_a_tie_is_rounded_to_its_own_side(whole, sign, hair):
    """Half a unit in the last place of the first, and far below it a third."""
    one = float(whole)
    three = one, math.ulp(one) / 2, sign * 2.0**hair
    columns = [np.array([value]) for value in three]
    assert folding._rounded_once(*columns).tolist() == [math.fsum(three)]


def test_a_volume_that_is_too_large_only_as_a_whole_is_left_to_others():
    rows = [(i * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.5e13) for i in range(3)]
    assert folded(frame(rows[:2], [1]), "1h") is not None
    assert folded(frame(rows, [1, 2]), "1h") is None


def test_bars_nobody_traded_in_have_no_volume():
    rows = [(i * MINUTE, 1.0, 1.0, 1.0, 1.0, 0.0) for i in range(90)]
    assert made(frame(rows), "1h")["volume"].to_list() == [0.0, 0.0]


def test_a_price_that_is_no_number_is_passed_over_as_resampling_does():
    rows = [(i * MINUTE, 1.0, high, 1.0, 1.0, 1.0) for i, high in enumerate([math.nan, 3.0, 2.0])]
    assert made(frame(rows, [1]), "1h").equals(resampled(frame(rows).lazy(), "1h", ()).collect())


def test_missing_values_and_no_rows_make_no_blocks():
    assert blocks_of(frame([])) == []
    assert blocks_of(frame([(0, 1.0, 1.0, 1.0, 1.0, None)])) == []
    assert fold([], MEASURES, "1h") is None


def test_only_the_columns_that_are_there_are_fold():
    rows = [(i * MINUTE, 1.0, 1.0, 1.0, 1.0 + i, 0.0) for i in range(90)]
    found = folded(frame(rows).select("ts", "close"), "1h")
    assert found is not None
    assert {name: column.tolist() for name, column in found.items()} == {
        "ts": [0, 60 * MINUTE], "close": [60.0, 90.0],
    }  # fmt: skip


def test_columns_that_lie_in_other_pieces_of_memory_are_read_as_rows():
    ts = pl.concat([pl.Series("ts", [0, 1]), pl.Series("ts", [2])], rechunk=False)
    close = pl.concat([pl.Series("close", [1.0]), pl.Series("close", [2.0, 3.0])], rechunk=False)
    found = folded(pl.DataFrame([ts * MINUTE, close]), "2m")
    assert found is not None
    assert found["close"].tolist() == [2.0, 3.0]
    assert found["ts"].dtype == np.int64
