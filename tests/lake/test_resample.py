import math
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.lake.resample import bucket, ceiling, divides, exact_sum, floor, resampled
from cq.utils.time import DAY, HOUR, bar_end, interval_ns, parse_time

INTERVALS = ["1m", "7m", "15m", "1h", "3h", "1d", "2d", "1w", "2w", "1M"]
moments = st.integers(0, 2**62)


@given(moments, st.sampled_from(INTERVALS))
def test_a_moment_lies_in_its_bucket(ts, interval):
    opened = floor(ts, interval)
    assert opened <= ts < bar_end(opened, interval)
    assert floor(opened, interval) == opened
    assert floor(bar_end(opened, interval) - 1, interval) == opened
    assert ceiling(ts, interval) in (ts, bar_end(opened, interval))


@given(st.lists(moments, min_size=1, max_size=20), st.sampled_from(INTERVALS))
def test_a_column_is_floored_as_single_moments_are(ts, interval):
    found = pl.DataFrame({"ts": ts}).select(bucket(pl.col("ts"), interval))["ts"].to_list()
    assert found == [floor(one, interval) for one in ts]


def test_weeks_start_on_monday_and_months_on_their_first():
    friday = parse_time("2024-03-15T13:00")
    assert floor(friday, "1w") == parse_time("2024-03-11")
    assert datetime.fromtimestamp(floor(friday, "1w") / 1e9, UTC).weekday() == 0
    assert floor(friday, "1M") == parse_time("2024-03-01")
    assert ceiling(friday, "1M") == parse_time("2024-04-01")


@pytest.mark.parametrize(
    ("finer", "coarser", "fits"),
    [
        ("1m", "1h", True),
        ("15m", "1h", True),
        ("7m", "1h", False),
        ("1h", "1h", False),
        ("1d", "1h", False),
        ("1d", "1w", True),
        ("2d", "1w", False),
        ("1w", "2w", True),
        ("1w", "14d", False),
        ("1d", "1M", True),
        ("1h", "1M", True),
        ("1w", "1M", False),
        ("2d", "1M", False),
        ("1M", "1M", False),
        ("1M", "2d", False),
    ],
)
def test_only_an_interval_whose_bars_fit_exactly_divides(finer, coarser, fits):
    assert divides(finer, coarser) is fits


@given(st.sampled_from(INTERVALS[:-1]), st.sampled_from(INTERVALS), moments)
def test_where_one_divides_the_other_their_edges_meet(finer, coarser, ts):
    if divides(finer, coarser):
        edge = floor(ts, coarser)
        assert floor(edge, finer) == edge
        assert interval_ns(finer) < interval_ns(coarser)


def test_a_made_bar_is_open_high_low_close_and_sum(bars):
    days = resampled(bars(48).lazy(), "1d").collect()
    assert days["ts"].to_list() == [parse_time("2024-01-01"), parse_time("2024-01-01") + DAY]
    assert days.select("open", "high", "low", "close").row(0) == (100.0, 125.0, 98.0, 124.0)
    assert days["volume"][1] == pytest.approx(sum(range(124, 148)) / 100)


def test_a_hole_in_the_finer_bars_leaves_the_bucket(bars):
    hours = bars(48).filter(pl.col("ts") % DAY >= 5 * HOUR)
    assert resampled(hours.lazy(), "1d").collect()["open"].to_list() == [105.0, 129.0]


amounts = st.floats(1e-8, 1e12)


@given(st.lists(amounts, min_size=1, max_size=50), st.randoms())
def test_a_volume_is_the_sum_rounded_once_in_any_order(volumes, random):
    shuffled = random.sample(volumes, len(volumes))
    sums = [
        pl.LazyFrame({"volume": each})
        .select(exact_sum(pl.col("volume")))
        .collect(engine=engine)
        .item()
        for each in (volumes, shuffled)
        for engine in ("in-memory", "streaming")
    ]
    assert set(sums) == {math.fsum(volumes)}


@pytest.mark.parametrize("volume", [1e25, math.inf, -1e300, 0.0])
def test_what_no_whole_number_holds_is_summed_as_floats(volume):
    summed = pl.DataFrame({"volume": [1.0, volume]}).select(exact_sum(pl.col("volume"))).item()
    assert summed == 1.0 + volume


def test_a_volume_that_is_no_number_leaves_no_sum():
    assert math.isnan(
        pl.DataFrame({"volume": [1.0, math.nan]}).select(exact_sum(pl.col("volume"))).item()
    )
