import itertools

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cq.ingest.coverage import covered, gaps, joined, rows_of
from cq.lake import Lake

RANGES = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda one: (one[0], one[0] + one[1])),
    max_size=12,
)
BTC = {"dataset": "ohlcv", "exchange": "mercadobitcoin", "symbol": "BTC-BRL", "interval": "1h"}


def frame(ranges):
    schema = {"start_ts": pl.Int64, "end_ts": pl.Int64}
    return pl.DataFrame(ranges, schema=schema, orient="row")


def points(ranges):
    return {point for start, end in ranges for point in range(start, end)}


@given(RANGES)
def test_joined_ranges_cover_the_same_and_lie_apart(ranges):
    found = joined(frame(ranges))
    assert points(found) == points(ranges)
    assert all(one[1] < two[0] for one, two in itertools.pairwise(found))


@given(RANGES, st.integers(0, 60), st.integers(0, 30))
def test_gaps_are_what_is_asked_for_and_not_known(ranges, start, length):
    found = gaps((start, start + length), joined(frame(ranges)))
    assert points(found) == set(range(start, start + length)) - points(ranges)
    assert all(one[0] < one[1] for one in found)


def written(lake, ranges, **other):
    rows = rows_of(ranges, **(BTC | other), asked_ns=7, source="test")
    return lake.write("coverage", rows, source="test", now_ns=7)


def test_what_was_written_is_covered_for_that_symbol_interval_and_exchange_only(tmp_path):
    lake = Lake(tmp_path / "lake")
    written(lake, [(0, 10, 3), (20, 30, 0)])
    assert covered(lake, "ohlcv", "mercadobitcoin", "BTC-BRL", "1h") == [(0, 10), (20, 30)]
    assert covered(lake, "ohlcv", "mercadobitcoin", "BTC-BRL", "1m") == []
    assert covered(lake, "ohlcv", "mercadobitcoin", "ETH-BRL", "1h") == []
    assert covered(lake, "trades", "mercadobitcoin", "BTC-BRL", "1h") == []
    assert covered(lake, "ohlcv", "binance", "BTC-BRL", "1h") == []


def test_a_dataset_without_intervals_is_covered_too(tmp_path):
    lake = Lake(tmp_path / "lake")
    written(lake, [(5, 6, 1)], dataset="trades", interval=None)
    assert covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None) == [(5, 6)]


def test_an_empty_lake_covers_nothing(tmp_path):
    assert covered(Lake(tmp_path / "lake"), **BTC) == []


def test_ranges_that_touch_are_one_row_with_their_bars_added(tmp_path):
    rows = rows_of([(10, 20, 2), (0, 10, 1), (30, 40, 0)], **BTC, asked_ns=7, source="test")
    assert rows.select("start_ts", "end_ts", "rows").rows() == [(0, 20, 3), (30, 40, 0)]


def test_the_same_coverage_twice_is_there_once(tmp_path):
    lake = Lake(tmp_path / "lake")
    written(lake, [(0, 10, 3)])
    assert written(lake, [(0, 10, 3)]).already_there == 1
