"""Bars at every interval in SQL against the same in Polars, and what lies where."""

import json
import math
import re
import shutil
import subprocess
import sysconfig
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import duckdb
import makers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.lake import Lake
from cq.lake.resample import closing, divides, exact_sum, floor
from cq.utils.time import HOUR, MINUTE, parse_time, to_ns

SHELL = Path(sysconfig.get_path("scripts")) / "duckdb"
MACROS = Path(__file__).parents[2] / "sql/macros"
SUM = [(MACROS / f"{name}.sql").read_text() for name in ("nearest_double", "exact_sum")]
BAR = ("ts", "open", "high", "low", "close", "volume", "symbol", "exchange")
SUMMARISED = [
    (1370995213, 249.0, 0.14), (1371026361, 249.0, 0.381), (1371033270, 249.0, 0.02),
    (1371053767, 249.0, 3.564896), (1371053767, 249.0, 1.38738153), (1371055427, 260.0, 0.13048017),
    (1371055564, 275.0, 1.0), (1371059659, 258.0, 1.0), (1371077804, 261.0, 1.0),
    (1371080549, 262.0, 1.0), (1371086087, 262.0, 1.0), (1371086227, 265.0, 0.4332069),
    (1371096416, 265.0, 0.0667931), (1371096416, 261.0, 0.26), (1371096416, 261.0, 1.0),
    (1371122617, 260.0, 0.1332069),
]  # fmt: skip
"""Mercado Bitcoin's trades around 2013-06-12: second, price, size."""
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
    there = filled.sql("select count(*) from bars where symbol = 'BTC-BRL'").item()
    assert made == there > 0
    assert filled.sql("select distinct bars from bars_1d where symbol = 'SOL-BRL'").is_empty()
    days = "select distinct bars from bars_1d where symbol = 'ETH-BRL' and exchange <> 'other'"
    assert filled.sql(days).rows() == [(1,)]


def test_the_macros_take_a_symbol_and_an_interval(filled):
    hours = filled.sql("from ohlcv('BTC-BRL', '1h') order by ts")
    assert_frame_equal(hours, filled.sql("from bars_1h where symbol = 'BTC-BRL' order by ts"))
    stored = filled.sql("from bars_of('SOL-BRL', '1w') order by ts")
    assert_frame_equal(stored, filled.sql("from bars where symbol = 'SOL-BRL' order by ts"))
    found = filled.sql(
        "from returns('ETH-BRL', interval := '1h') where exchange = 'mercadobitcoin'"
    )
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


@settings(max_examples=40, deadline=None)
@given(
    ts=st.integers(parse_time("1971-01-01"), parse_time("2200-01-01")),
    step=st.sampled_from(INTERVALS),
)
def test_a_bucket_of_sql_is_a_bucket_of_polars(filled, ts, step):
    opened, closed = filled.sql(
        "select bucket_ns($t, $s), close_ns(bucket_ns($t, $s), $s)", {"t": ts, "s": step}
    ).row(0)
    assert opened == floor(ts, step)
    assert closed == pl.select(closing(pl.lit(opened), step)).item()


def test_a_volume_of_sql_is_a_volume_of_python_to_the_bit_in_whatever_files_it_lies(
    lake, tmp_path, bars
):
    random = Random(1)
    minutes = bars(7200, interval="1m").with_columns(
        volume=pl.Series([random.lognormvariate(0, 3) for _ in range(7200)])
    )
    written = minutes.sample(fraction=1, shuffle=True, seed=1)
    for start in range(0, 7200, 1440):
        lake.write("ohlcv", written.slice(start, 1440), source="test", now_ns=start)
    made = lake.bars("BTC-BRL", "1h").sort("ts").collect()["volume"].to_list()
    for _ in range(3):
        assert lake.sql("select volume from bars_1h order by ts")["volume"].to_list() == made
    other = Lake(tmp_path / "other")
    other.write("ohlcv", minutes, source="test", now_ns=1)
    taken = {one.fingerprint("bars_1h").digest for one in (lake, lake, lake, other)}
    assert len(taken) == 1
    days = "select volume from bars_1d_sao_paulo where symbol = 'BTC-BRL' order by ts"
    whole = [math.fsum(made[start : start + 24]) for start in range(3, 99, 24)]
    assert lake.sql(days)["volume"].to_list()[1:] == whole


ADDED = (
    [0.1] * 10, [1e-8, 1e12], [2.0**45, 2.0**-8, 2.0**-40], [2.0**45, 2.0**-8], [1e-25, -0.0],
    [3e13, 3e13, 0.1], [7e13, 7e13], [1e17] * 2000, [1.0, 1e25], [1.0, -1e300], [-0.3, -0.1, -7e5],
    [math.inf, 1.0], [math.inf, -math.inf], [math.nan, 1.0], [None, 0.1], [None, None],
)  # fmt: skip
"""Sums with a tie in their last bit, beyond 128 bits, and of what is no number."""


def in_python(amounts: list[float | None]) -> float:
    return (
        pl.DataFrame({"volume": amounts}, {"volume": pl.Float64})
        .select(exact_sum(pl.col("volume")))
        .item()
    )


@cache
def macros_of_sums() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for macro in SUM:
        connection.execute(macro)
    return connection


def in_sql(amounts: list[float | None]) -> float:
    query = "select exact_sum(amount) from (select unnest(?::double[]) as amount)"
    return macros_of_sums().execute(query, [amounts]).fetchall()[0][0]


@pytest.mark.parametrize("amounts", ADDED)
def test_an_exact_sum_of_sql_is_that_of_python(amounts):
    assert in_sql(amounts) == pytest.approx(in_python(amounts), rel=0, abs=0, nan_ok=True)


@settings(deadline=None)
@given(amounts=st.lists(st.floats(1e-8, 1e12), min_size=1, max_size=50), random=st.randoms())
def test_an_exact_sum_of_sql_has_no_order(amounts, random):
    shuffled = random.sample(amounts, len(amounts))
    assert in_sql(shuffled) == in_sql(amounts) == math.fsum(amounts)


@settings(deadline=None)
@given(st.integers(50, 126).flatmap(lambda bits: st.integers(-(2**bits), 2**bits)))
def test_a_whole_number_of_sql_becomes_the_nearest_float(whole):
    found = macros_of_sums().execute("select nearest_double(?::hugeint)", [whole]).fetchall()
    assert found == [(float(whole),)]


def test_an_exact_sum_is_the_same_in_an_older_command_line():
    if not SHELL.exists():
        pytest.skip("no duckdb command line (duckdb-cli) here")
    listed = [[one for one in amounts if one is not None] or [0.0] for amounts in ADDED]
    finite = [one for one in listed if all(map(math.isfinite, one))]
    query = (
        "select exact_sum(amount) from (select unnest(list) as amount, number from (select "
        f"unnest({finite}::double[][]) as list, unnest(range({len(finite)})) as number)) "
        "group by number order by number;"
    )
    asked = [word for one in (*SUM, query) for word in ("-c", one)]
    done = subprocess.run(
        [SHELL, "-csv", "-noheader", *asked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [float(line) for line in done.stdout.split()] == [in_python(one) for one in finite]


def test_mercado_bitcoins_own_day_is_a_day_of_sao_paulo(lake):
    """Its day summary of 2013-06-12: 249, 275, 249, 265 and 10.9169646 BTC; the UTC day differs."""
    price, size, minute = pl.col("price"), pl.col("size"), pl.col("s") // 60 * MINUTE
    minutes = (
        pl.DataFrame(SUMMARISED, schema=["s", "price", "size"], orient="row")
        .group_by(minute.alias("ts"), maintain_order=True)
        .agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=size.sum(),
        )
        .with_columns(
            symbol=pl.lit("BTC-BRL"), exchange=pl.lit("mercadobitcoin"), interval=pl.lit("1m")
        )
    )
    lake.write("ohlcv", minutes, source="test", now_ns=1)
    day = "select open, high, low, close, volume from {} where time::date = '2013-06-12'"
    summary = (249.0, 275.0, 249.0, 265.0, pytest.approx(10.9169646, abs=1e-12))
    assert lake.sql(day.format("bars_1d_sao_paulo")).row(0) == summary
    assert lake.sql(day.format("bars_1d")).rows() != [summary]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2018-11-03", 24), ("2018-11-04", 23), ("2019-02-16", 25), ("2019-11-03", 24)],
)
def test_a_day_of_sao_paulo_has_the_hours_that_its_clocks_had(lake, bars, day, hours):
    local = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("America/Sao_Paulo"))
    since = (local - timedelta(days=1)).astimezone(UTC).replace(tzinfo=None).isoformat()
    lake.write("ohlcv", bars(80, since=since), source="test", now_ns=1)
    query = "select bars, ts, sao_paulo(ts)::varchar from bars_1d_sao_paulo where day = ?::date"
    bars_in_it, ts, shown = lake.sql(query, [day]).row(0)
    assert (bars_in_it, ts, shown[:10]) == (hours, to_ns(local), day)


def test_days_of_sao_paulo_need_bars_of_an_hour_or_less_and_be_over(lake, bars):
    lake.write("ohlcv", bars(300, interval="1d"), source="test", now_ns=1)
    lake.write("ohlcv", bars(60, "ETH-BRL"), source="test", now_ns=1)
    days = lake.sql("select symbol, day::varchar, bars from bars_1d_sao_paulo order by day").rows()
    assert days == [
        ("ETH-BRL", "2023-12-31", 3),
        ("ETH-BRL", "2024-01-01", 24),
        ("ETH-BRL", "2024-01-02", 24),
    ]


def test_a_symbol_alone_reads_its_own_files_only(filled):
    for view in ("bars", "bars_1m", "bars_1d"):
        query = f"explain analyze select * from {view} where symbol = 'BTC-BRL'"
        plan = filled.views.cursor().execute(query).fetchall()[0][1]
        assert set(re.findall(r"symbol=([A-Z]+)-BRL", plan)) <= {"BTC"}
        assert any(
            int(n) < int(of) for n, of in re.findall(r"Scanning Files: (\d+)/(\d+)", plan)
        ), view


def test_latest_is_the_newest_bar_of_each_series_also_of_one_that_ended(lake, bars):
    lake.write("ohlcv", bars(50, "OLD-BRL", since="2019-12-31"), source="test", now_ns=1)
    lake.write("ohlcv", bars(30, since="2023-12-31"), source="test", now_ns=1)
    lake.write("ohlcv", bars(30, interval="1m"), source="test", now_ns=1)
    slow = (
        "select * from bars "
        "qualify row_number() over (partition by symbol, interval order by ts desc) = 1"
    )
    columns = lake.sql("from latest").columns
    assert_frame_equal(
        lake.sql("from latest order by symbol, interval"),
        lake.sql(f"from ({slow}) order by symbol, interval").select(columns),
    )


@pytest.mark.parametrize("path", ["ohlcv/{exchange}/{symbol}-{YYYY}/x-{HHmmss}.parquet",
                                  "ohlcv/year={YYYY}/file-{HHmmss}.parquet"])  # fmt: skip
def test_views_do_not_depend_on_the_partitions(tmp_path, bars, path):
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": path})
    lake.write("ohlcv", bars(50), source="test", now_ns=1)
    assert lake.sql("select bars from bars_1d order by ts").rows() == [(24,), (24,)]
    assert lake.sql("select count(*) from bars_of('BTC-BRL', '1h')").item() == 50
    assert lake.sql("select close from latest").item() == 150.0
    files = lake.sql(
        "select symbol, interval, rows::int, last_ts from files where dataset = 'ohlcv'"
    )
    assert files.rows() == [("BTC-BRL", "1h", 50, parse_time("2024-01-03T01:00"))]


def test_files_say_what_is_in_them_and_tolerate_those_of_others(filled):
    slip = filled.root / "ohlcv/exchange=x/symbol=X-Y/interval=1h/year=2024/theirs.parquet"
    slip.parent.mkdir(parents=True)
    pl.DataFrame({"ts": [5, 9], "open": [1.0, 2.0]}).write_parquet(slip)
    try:
        files = filled.sql("from files where dataset = 'ohlcv' order by path")
        theirs = files.filter(pl.col("path") == str(slip)).row(0, named=True)
    finally:
        slip.unlink()
    assert (theirs["rows"], theirs["first_ts"], theirs["last_ts"], theirs["source"]) == (
        2,
        5,
        9,
        None,
    )
    ours = files.filter(pl.col("path") != str(slip))
    assert ours["rows"].sum() == filled.sql("select count(*) from bars").item()
    assert ours["bytes"].to_list() == [Path(one).stat().st_size for one in ours["path"]]
    assert [str(filled.root / one) for one in ours["file"]] == ours["path"].to_list()


def test_runs_are_seen_as_soon_as_they_are_there_and_until_they_are_gone(tmp_path):
    lake = Lake(tmp_path / "lake")
    assert lake.refresh_catalog()
    views = ("runs", "equity", "run_trades", "run_files")
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:

        def counts() -> list[int]:
            return [connection.sql(f"select count(*) from {v}").fetchall()[0][0] for v in views]

        assert counts() == [0, 0, 0, 0]
        makers.run_folder(tmp_path / "runs", "one", sharpe=1.5)
        makers.run_folder(tmp_path / "runs", "two")
        assert counts() == [2, 6, 4, 4]
        shutil.rmtree(tmp_path / "runs" / "one")
        shutil.rmtree(tmp_path / "runs" / "two")
        assert counts() == [0, 0, 0, 0]
    makers.run_folder(tmp_path / "runs", "one", sharpe=1.5)
    best = lake.sql(
        "select run, mode, strategy, symbols, rows, sharpe, cash, started from runs"
    ).row(0)
    assert best == ("one", "backtest", "cross", ["A-B"], 3, 1.5, 9.0, datetime(2024, 5, 1, 10))
    assert lake.sql("select drawdown from equity order by ts")["drawdown"].to_list() == [0, 0, -0.5]
    fills = lake.sql("select side, size, price, number from run_trades order by number").rows()
    assert fills == [("buy", 1.5, 100.0, 1), ("sell", 1.5, 101.0, 2)]


def test_runs_that_came_before_the_lake_are_seen_where_nothing_can_be_written(tmp_path):
    makers.run_folder(tmp_path / "runs", "one")
    lake = Lake(tmp_path / "lake")
    assert lake.sql("select count(*) from equity").item() == 3
    assert not (tmp_path / "runs/.anchor").exists()


def test_every_trial_of_a_sweep_is_a_run(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.refresh_catalog()
    makers.run_folder(tmp_path / "runs", "one", sharpe=1.5)
    makers.sweep_folder(tmp_path / "runs", "many", sharpes=[0.5, None, 2.5])
    found = lake.sql("select run, mode, strategy, sharpe, trades, started from runs order by run")
    assert found["run"].to_list() == ["many/1", "many/2", "many/3", "one"]
    assert found["mode"].to_list() == ["trial"] * 3 + ["backtest"]
    assert found["sharpe"].to_list() == [0.5, None, 2.5, 1.5]
    assert set(found["strategy"]) == {"cross"}
    assert set(found["started"]) == {datetime(2024, 5, 1, 10)}
    fast = "select (config ->> '$.strategy.fast')::bigint as fast from runs where run = 'many/2'"
    assert lake.sql(fast).item() == 2
    shutil.rmtree(tmp_path / "runs" / "many")
    assert lake.sql("select count(*) from runs").item() == 1


def test_a_position_costs_what_its_buys_did_and_a_sale_takes_its_part(lake):
    chance, rows, wanted = Random(7), [], []
    for account in (f"paper-{number:02}" for number in range(40)):
        held = cost = fills = 0.0
        for number in range(chance.randrange(9)):
            side, size = chance.choice(("buy", "buy", "sell")), chance.randrange(1, 41) / 10
            price = float(chance.randrange(1, 50))
            size = size if side == "buy" else min(size, held)
            if size <= 0:
                continue
            cost += size * price if side == "buy" else -cost * size / held
            held = round(held + (size if side == "buy" else -size), 9)
            fills += 1
            rows.append((number, f"{number:03}", side, price, size, 0.5, "BTC-BRL", account))
        if held > 0:
            wanted.append((account, pytest.approx(held), pytest.approx(cost), fills, fills * 0.5))
    names = ["ts", "fill_id", "side", "price", "size", "fee", "symbol", "exchange"]
    lake.write("fills", pl.DataFrame(rows, schema=names, orient="row"), source="test", now_ns=1)
    columns = "account, size, average_cost * size, fills, fees"
    assert lake.sql(f"select {columns} from positions order by account").rows() == wanted
    assert 10 < len(wanted) < 40


def test_a_position_is_worth_what_its_own_exchange_says(tmp_path):
    lake = Lake(tmp_path / "lake", runs=tmp_path / "runs")
    bars = makers.hourly("BTC-BRL", [100.0, 101.0], start=0)
    for exchange, later, close in (("here", 0, 100.0), ("there", 5, 200.0)):
        rows = bars.with_columns(
            pl.col("ts") + later * makers.HOUR, exchange=pl.lit(exchange), interval=pl.lit("1h"),
            **dict.fromkeys(("open", "high", "low", "close"), pl.lit(close)),
        )  # fmt: skip
        lake.write("ohlcv", rows, source="test", now_ns=10**18)
    for run, strategy in (("follows", {"exchange": "here"}), ("anything", {"exchange": None})):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"strategy": strategy}))
    accounts = ["here", "there", "follows", "anything", "nobody"]
    fills = pl.DataFrame({"exchange": accounts}).with_columns(
        ts=pl.lit(1), fill_id=pl.lit("a"), side=pl.lit("buy"), price=pl.lit(1.0),
        size=pl.lit(1.0), fee=pl.lit(0.0), symbol=pl.lit("BTC-BRL"),
    )  # fmt: skip
    lake.write("fills", fills, source="test", now_ns=1)
    found = dict(lake.sql("select account, value from positions").rows())
    assert found == {
        "here": 100.0, "there": 200.0, "follows": 100.0, "anything": 200.0, "nobody": 200.0,
    }  # fmt: skip


def test_what_was_sold_before_it_was_bought_costs_nothing_above_zero(tmp_path):
    lake = Lake(tmp_path / "lake")
    rows = [
        (ts, side, price, size, fill_id, account)
        for account, *fills in (
            ("crossed", (0, "sell", 100.0, 1.0, "1"), (1, "buy", 90.0, 2.0, "2")),
            ("crossed_twice", (0, "buy", 50.0, 1.0, "1"), (1, "sell", 100.0, 3.0, "2"),
             (2, "buy", 90.0, 3.0, "3"), (3, "buy", 120.0, 1.0, "4")),
            ("at_once", (0, "buy", 100.0, 1.0, "99"), (0, "sell", 100.0, 0.5, "100")),
            ("at_once_named", (0, "buy", 100.0, 1.0, "x-9"), (0, "sell", 100.0, 0.5, "x-10")),
        )
        for ts, side, price, size, fill_id in fills
    ]  # fmt: skip
    names = ["ts", "side", "price", "size", "fill_id", "exchange"]
    fills = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        fee=pl.lit(0.0), symbol=pl.lit("BTC-BRL")
    )
    lake.write("fills", fills, source="test", now_ns=1)
    held = lake.sql("select account, size, average_cost from positions order by account").rows()
    assert held == [
        ("at_once", 0.5, 100.0),
        ("at_once_named", 0.5, 100.0),
        ("crossed", 1.0, 90.0),
        ("crossed_twice", 2.0, 105.0),
    ]
