"""Bars at every interval in SQL against the same in Polars, and what lies where."""

import json
import subprocess
import sysconfig
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.lake import Lake, raw
from cq.lake.resample import closing, divides
from cq.utils.time import DAY, HOUR, MINUTE, parse_time, to_ns
from tests.lake.test_quality import slip_in

BAR = ("ts", "open", "high", "low", "close", "volume", "symbol", "exchange")
VIEWS = {
    "bars_1m": "1m", "bars_5m": "5m", "bars_15m": "15m", "bars_1h": "1h", "bars_4h": "4h",
    "bars_1d": "1d", "bars_1w": "1w", "bars_1mo": "1M",
}  # fmt: skip
INTERVALS = ("1m", "3m", "5m", "7m", "1h", "90m", "4h", "5h", "1d", "2d", "7d", "1w", "2w", "1M")


@pytest.fixture(scope="module")
def filled(tmp_path_factory, bars) -> Lake:
    """Minutes with holes, hours of another symbol, days and weeks, and what was asked for."""
    lake = Lake(tmp_path_factory.mktemp("filled") / "lake")
    minutes = bars(9 * 1440 + 700, interval="1m", since="2024-02-26T00:03")
    holes = minutes.filter(~(pl.col("ts") // HOUR % 7 == 3), pl.col("ts") // MINUTE % 5 != 2)
    rows = [holes, bars(1500, "ETH-BRL"), bars(90, "ETH-BRL", "1d"), bars(9, "SOL-BRL", "1w")]
    rows.append(bars(400, "ETH-BRL", exchange="other").filter(pl.col("ts") // HOUR % 3 != 1))
    for one in rows:
        lake.write("ohlcv", one, source="test", now_ns=1)
    asked = {
        "dataset": "ohlcv", "symbol": "BTC-BRL", "exchange": "mercadobitcoin", "interval": "1m",
        "start_ts": parse_time("2024-02-26"), "end_ts": parse_time("2024-03-08"), "rows": 1,
        "asked_ts": 1, "source": "test",
    }  # fmt: skip
    lake.write("coverage", pl.DataFrame([asked]), source="test", now_ns=1)
    return lake


def in_polars(lake: Lake, interval: str) -> pl.DataFrame:
    stored = lake.stored().filter(
        pl.Series([one == interval or divides(one, interval) for one in lake.stored()["interval"]])
    )
    pairs = stored.select("symbol", "exchange").unique().sort("symbol", "exchange").rows()
    frames = [lake.bars(s, interval, exchange=e).collect() for s, e in pairs]
    return pl.concat(frames) if frames else pl.DataFrame()


@pytest.mark.parametrize(("view", "interval"), VIEWS.items())
def test_a_view_of_an_interval_is_what_the_lake_gives_for_it(filled, view, interval):
    found = filled.sql(f"from {view} order by symbol, exchange, ts")
    assert_frame_equal(found.select(BAR), in_polars(filled, interval), rel_tol=1e-12)
    assert found["time"].dt.epoch("ns").equals(found["ts"].alias("time"))
    assert found.height > 0


@pytest.mark.parametrize("interval", ["3m", "90m", "2d", "7d", "2w"])
def test_any_other_interval_is_made_the_same_way(filled, interval):
    found = filled.sql(f"from bars_at('{interval}') order by symbol, exchange, ts")
    assert_frame_equal(found.select(BAR), in_polars(filled, interval), rel_tol=1e-12)


def test_each_bar_says_how_many_stored_ones_are_in_it(filled):
    made = filled.sql("select sum(bars)::bigint from bars_1d where symbol = 'BTC-BRL'").item()
    there = filled.sql(
        "select count(*) from bars where symbol = 'BTC-BRL' and ts < ts_ns('2024-03-06')"
    ).item()
    assert made == there > 0
    assert filled.sql("select distinct bars from bars_1d where symbol = 'SOL-BRL'").is_empty()
    days = "select distinct bars from bars_1d where symbol = 'ETH-BRL' and exchange <> 'other'"
    assert filled.sql(days).rows() == [(1,)]


def test_the_macros_take_a_symbol_and_an_interval(filled):
    hours = filled.sql("from ohlcv('BTC-BRL', '1h') order by ts")
    assert_frame_equal(hours, filled.sql("from bars_1h where symbol = 'BTC-BRL' order by ts"))
    stored = filled.sql("from bars_of('SOL-BRL', '1w') order by ts")
    assert_frame_equal(stored, filled.sql("from bars where symbol = 'SOL-BRL' order by ts"))
    found = filled.sql("from returns('ETH-BRL', interval := '1h') where exchange = 'mercadobitcoin'")
    closes = filled.bars("ETH-BRL", "1h", exchange="mercadobitcoin").collect()["close"]
    assert found.sort("ts")["simple_return"].to_list() == pytest.approx(
        (closes / closes.shift() - 1).to_list(), nan_ok=True
    )
    assert filled.sql("from ohlcv('NO-BRL', '1h')").is_empty()
    assert filled.sql("from ohlcv('BTC-BRL', 'soon')").is_empty()
    assert filled.sql("from ohlcv('BTC-BRL', '0m')").is_empty()


def test_sql_divides_and_rounds_as_polars_does(filled):
    pairs = [(a, b) for a in INTERVALS for b in INTERVALS]
    query = "select divides(a, b) from (select unnest(?) as a, unnest(?) as b)"
    found = filled.sql(query, [[a for a, _ in pairs], [b for _, b in pairs]])
    assert [bool(one) for (one,) in found.rows()] == [divides(a, b) for a, b in pairs]


@given(ts=st.integers(parse_time("1971-01-01"), parse_time("2200-01-01")), step=st.sampled_from(INTERVALS))
def test_a_bucket_of_sql_is_a_bucket_of_polars(filled, ts, step):
    from cq.lake.resample import floor

    opened, closed = filled.sql("select bucket_ns($t, $s), close_ns(bucket_ns($t, $s), $s)", {"t": ts, "s": step}).row(0)
    assert opened == floor(ts, step)
    assert closed == pl.select(closing(pl.lit(opened), step)).item()


def test_mercado_bitcoins_own_day_is_a_day_of_sao_paulo(lake):
    """Its day summary of 2013-06-12, published at the time, out of its trades (see docs/sql.md)."""
    trades = pl.DataFrame(SUMMARISED, schema=["s", "price", "size"], orient="row").with_columns(
        ts=pl.col("s").cast(pl.Int64) * 1_000_000_000
    )
    minutes = (
        trades.sort("ts", maintain_order=True)
        .group_by((pl.col("ts") // MINUTE * MINUTE).alias("ts"), maintain_order=True)
        .agg(
            open=pl.col("price").first(), high=pl.col("price").max(), low=pl.col("price").min(),
            close=pl.col("price").last(), volume=pl.col("size").sum(),
        )
    ).with_columns(symbol=pl.lit("BTC-BRL"), exchange=pl.lit("mercadobitcoin"), interval=pl.lit("1m"))  # fmt: skip
    lake.write("ohlcv", minutes, source="test", now_ns=1)
    day = "select open, high, low, close, volume from {} where time::date = '2013-06-12'"
    ours = lake.sql(day.format("bars_1d_sao_paulo")).row(0)
    assert ours == (249.0, 275.0, 249.0, 265.0, pytest.approx(10.9169646))
    assert lake.sql(day.format("bars_1d")).row(0)[4] != pytest.approx(10.9169646)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2018-11-03", 24), ("2018-11-04", 23), ("2019-02-16", 25), ("2019-11-03", 24)],
)
def test_a_day_of_sao_paulo_has_the_hours_that_its_clocks_had(lake, bars, day, hours):
    lake.write("ohlcv", bars(96, since=str(parse_day(day) - DAY)[:0] or before(day)), source="test", now_ns=1)
    found = lake.sql("select bars, ts from bars_1d_sao_paulo where day = ?::date", [day]).row(0)
    local = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("America/Sao_Paulo"))
    assert found == (hours, to_ns(local))
    assert lake.sql("select sao_paulo(?)::varchar", [found[1]]).item()[:10] == day
