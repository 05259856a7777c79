"""Filled bars, against a loop over every bucket."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import UsageError
from cq.lake import Lake
from cq.lake.filling import forward_filled
from cq.utils.time import DAY, HOUR, bar_end, interval_ns, parse_time

START = parse_time("2024-01-01")
VALUES = ("open", "high", "low", "close", "volume")
SCHEMA = {"ts": pl.Int64} | dict.fromkeys(VALUES, pl.Float64)


def bars_at(interval: str, buckets: list[int]) -> pl.DataFrame:
    """Bars that open in these buckets, each with prices of its own."""
    openings, at = [], START
    for bucket in range(max(buckets, default=-1) + 1):
        if bucket in buckets:
            openings.append(at)
        at = bar_end(at, interval)
    rows = [(ts, 10.0 + i, 20.0 + i, 5.0 + i, 12.0 + i, 1.0) for i, ts in enumerate(openings)]
    return pl.DataFrame(
        rows, schema={"ts": pl.Int64} | dict.fromkeys(VALUES, pl.Float64), orient="row"
    )


@pytest.mark.parametrize("interval", ["1m", "4h", "1w", "1M"])
def test_filling_is_a_walk_over_every_bucket(interval):
    @given(st.lists(st.integers(0, 30), unique=True, max_size=12))
    def holds(buckets):
        bars = bars_at(interval, sorted(buckets))
        rows, known = [], {row["ts"]: row for row in bars.iter_rows(named=True)}
        at = min(known, default=0)
        while known and at <= max(known):
            if at in known:
                close = known[at]["close"]
                rows.append((at, *(known[at][name] for name in VALUES), False))
            else:
                rows.append((at, close, close, close, close, 0.0, True))
            at = bar_end(at, interval)
        expected = pl.DataFrame(
            rows, schema=dict(bars.schema) | {"filled": pl.Boolean}, orient="row"
        )
        for engine in ("streaming", "in-memory"):
            assert_frame_equal(
                forward_filled(bars.lazy(), interval).collect(engine=engine), expected
            )

    holds()


def test_a_bar_off_the_grid_counts_for_the_bucket_that_it_lies_in():
    bars = bars_at("1h", [0, 1, 3]).with_columns(pl.col("ts") + pl.Series([0, HOUR // 2, 0]))
    found = forward_filled(bars.lazy(), "1h").collect()
    assert ((found["ts"] - START) / HOUR).to_list() == [0, 1.5, 2, 3]
    assert found["filled"].to_list() == [False, False, True, False]


@pytest.mark.parametrize("interval", ["1h", "1d", "1w"])
@pytest.mark.parametrize("shift", [0, 3 * HOUR])
def test_as_many_are_filled_as_gaps_tells_missing(tmp_path_factory, bars, interval, shift):
    step = interval_ns(interval)
    days = shift if step >= DAY else 0  # shorter bars have one grid: that of the epoch

    @settings(max_examples=3, deadline=None)
    @given(
        st.lists(st.integers(0, 20), unique=True, min_size=4, max_size=12),
        st.sampled_from([0, 1, step // 2, step - 1]),
    )
    def holds(buckets, late):
        lake = Lake(tmp_path_factory.mktemp("lakes") / "lake")
        ts = [START + days + one * step for one in sorted(buckets)]
        ts[1] += late
        rows = bars(len(ts), interval=interval).with_columns(ts=pl.Series(ts))
        lake.write("ohlcv", rows, source="test", now_ns=1)
        found = lake.bars("BTC-BRL", interval, fill="forward").collect()
        missing = lake.gaps()
        assert found["filled"].sum() == missing["bars"].sum()
        firsts = found.filter(pl.col("filled"))["ts"]
        assert set(missing["ts"]) <= set(firsts)
        assert found["ts"].is_sorted()
        assert found.filter(~pl.col("filled"))["ts"].to_list() == ts

    holds()


@pytest.mark.parametrize("months", [(6, 15), (11, 9)])
@pytest.mark.parametrize("lost", [None, dt.date(2017, 1, 15), dt.date(2017, 7, 15)])
def test_days_of_a_zone_with_summer_time_are_days_throughout(lake, bars, months, lost):
    first, length = months
    begun = dt.date(2016, first, 1)
    days = [begun + dt.timedelta(one) for one in range(length * 30)]
    days = [one for one in days if one != lost]
    ts = [parse_time(one.isoformat(), "America/Sao_Paulo") for one in days]
    assert {one % DAY for one in ts} == {2 * HOUR, 3 * HOUR}
    rows = bars(len(ts), interval="1d").with_columns(ts=pl.Series(ts))
    lake.write("ohlcv", rows, source="test", now_ns=1)
    filled = lake.bars("BTC-BRL", "1d", fill="forward").filter("filled").collect()
    missing = lake.gaps()
    assert missing["bars"].sum() == filled.height == (lost is not None)
    assert missing["ts"].to_list() == filled["ts"].to_list()
    assert [one.date() for one in missing["time"]] == ([] if lost is None else [lost])


def test_two_bars_of_one_bucket_both_stay():
    bars = bars_at("1h", [0, 1, 3]).with_columns(pl.col("ts") - pl.Series([0, HOUR // 2, 0]))
    found = forward_filled(bars.lazy(), "1h").collect()
    assert ((found["ts"] - START) / HOUR).to_list() == [0, 0.5, 1, 2, 3]


def test_bars_are_filled_when_that_is_asked_for_and_marked(lake, bars):
    some = bars(6).filter(pl.col("ts") != parse_time("2024-01-01T03:00"))
    lake.write("ohlcv", some, source="test", now_ns=1)
    lake.write("ohlcv", bars(2, symbol="ETH-BRL"), source="test", now_ns=1)
    plain = lake.bars(["BTC-BRL", "ETH-BRL"], "1h").collect()
    assert "filled" not in plain.columns
    filled = lake.bars(["BTC-BRL", "ETH-BRL"], "1h", fill="forward").collect()
    assert filled.filter(~pl.col("filled")).drop("filled").equals(plain)
    one = filled.row(3, named=True)
    assert (one["filled"], one["symbol"]) == (True, "BTC-BRL")
    assert (one["open"], one["close"], one["volume"]) == (103.0, 103.0, 0.0)
    some = lake.bars("BTC-BRL", "1h", fill="forward", columns=["ts", "close"]).collect()
    assert some.columns == ["ts", "close", "filled"]


def test_a_bucket_made_of_some_of_its_finer_bars_is_not_filled(lake, bars):
    hours = pl.int_range(24, eager=True)
    lake.write("ohlcv", bars(24).filter(~hours.is_in([1, *range(8, 12)])), source="t", now_ns=1)
    found = lake.bars("BTC-BRL", "4h", fill="forward").collect()
    assert found["filled"].to_list() == [False, False, True, False, False, False]


def test_another_way_to_fill_is_refused(lake, bars):
    lake.write("ohlcv", bars(2), source="test", now_ns=1)
    with pytest.raises(
        UsageError, match="fill='back' is no way to fill; there is none and forward"
    ):
        lake.bars("BTC-BRL", "1h", fill="back")
