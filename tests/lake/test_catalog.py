import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq.errors import DataError, LakeUnwritable, UsageError
from cq.lake import DATASETS, Lake, catalog

SHELL = Path(sysconfig.get_path("scripts")) / "duckdb"
COUNT = "select symbol, count(*) from bars group by 1 order by 1"


def put(lake: Lake, rows: pl.DataFrame) -> None:
    lake.write("ohlcv", rows, source="test", now_ns=1)


def shell(lake: Lake, query: str) -> list[str]:
    """What an older DuckDB command line says, started in another directory."""
    if not SHELL.exists():
        pytest.skip("no duckdb command line (duckdb-cli) here")
    done = subprocess.run(
        [SHELL, "-csv", "-noheader", lake.catalog, query],
        capture_output=True, text=True, cwd="/", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_an_empty_lake_can_be_asked(lake):
    assert lake.sql("select count(*) from bars").item() == 0
    assert lake.scan("trades").collect().is_empty()
    assert lake.refresh_catalog()
    assert shell(lake, "select count(*) from bars") == ["0"]


def test_lake_db_sees_rows_that_come_later_without_being_written_again(lake, bars):
    lake.refresh_catalog()
    before = lake.catalog.read_bytes()
    assert shell(lake, COUNT) == []
    put(lake, bars(3))
    put(lake, bars(2, "ETH-BRL", since="2022-01-01"))
    assert shell(lake, COUNT) == ["BTC-BRL,3", "ETH-BRL,2"]
    assert lake.refresh_catalog()
    assert lake.catalog.read_bytes() == before


def test_every_view_answers_in_an_older_command_line(lake, bars):
    put(lake, bars(50))
    lake.refresh_catalog()
    names = [view.name for view in lake.views.views] + [f"raw.{name}" for name in DATASETS]
    query = " union all ".join(f"select '{name}', count(*) from {name}" for name in names)
    assert len(shell(lake, query)) == len(names)
    grain = shell(lake, "select comment from duckdb_views() where view_name = 'bars'")
    assert " ".join(grain).startswith('"One row per exchange, symbol, interval')


def test_lake_db_opens_in_this_library_too(lake, bars):
    put(lake, bars(4))
    lake.refresh_catalog()
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        assert connection.sql(COUNT).fetchall() == [("BTC-BRL", 4)]
        tag = "select tags['storage_version'] from duckdb_databases() where not internal"
        assert "v1.0.0" in str(connection.sql(tag).fetchall()[0][0])


HOLDS = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], config={"storage_compatibility_version": "v1.0.0"})
print("open", flush=True)
sys.stdin.read()
"""


def test_while_somebody_has_it_open_the_lake_goes_on_without(lake, bars, monkeypatch):
    monkeypatch.setattr(catalog, "PATIENCE_S", 0.05)
    lake.refresh_catalog()
    (lake.root / catalog.STATE).unlink()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, lake.catalog], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        assert not lake.refresh_catalog()
        put(lake, bars(2))
        assert lake.sql("select count(*) from bars").item() == 2
        other.communicate()
    assert lake.refresh_catalog()


def test_what_somebody_saved_in_lake_db_stays(lake):
    lake.refresh_catalog()
    with duckdb.connect(str(lake.catalog)) as connection:
        connection.execute("create table notes as select 'mine' as note")
        connection.execute("create view old_view as select 1")
    (lake.root / catalog.STATE).write_text('{"digest": "other", "views": ["old_view", "bars"]}')
    assert lake.refresh_catalog()
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        names = {name for (name,) in connection.sql("show tables").fetchall()}
    assert "notes" in names
    assert "old_view" not in names


def test_a_moved_lake_gets_its_views_anew(lake, bars, tmp_path):
    put(lake, bars(3))
    lake.refresh_catalog()
    shutil.move(lake.root, tmp_path / "moved")
    shutil.move(lake.catalog, tmp_path / "moved.db")
    moved = Lake(tmp_path / "moved")
    assert moved.refresh_catalog()
    assert shell(moved, COUNT) == ["BTC-BRL,3"]


def test_a_broken_lake_db_says_what_to_do(lake):
    lake.prepare()
    lake.catalog.write_text("this is not a database" * 1000)
    with pytest.raises(DataError, match="holds views only: move it away"):
        lake.refresh_catalog()


def test_a_spoilt_note_about_lake_db_only_costs_a_rewrite(lake):
    lake.refresh_catalog()
    for content in ("{", "[]"):
        (lake.root / catalog.STATE).write_text(content)
        assert lake.refresh_catalog()


@pytest.mark.parametrize("engine", ["streaming", "in-memory"])
def test_one_scan_serves_twice_in_a_query_and_in_threads(lake, bars, engine):
    put(lake, bars(3000))
    frame = lake.scan("bars")
    joined = frame.join(frame, on=["symbol", "ts"]).select(pl.len())
    assert joined.collect(engine=engine).item() == 3000
    both = pl.collect_all([frame.select(pl.len()), frame.filter(pl.col("close") > 1101)])
    assert [both[0].item(), both[1].height] == [3000, 1999]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: frame.collect(engine=engine).height, range(8)))
    assert found == [3000] * 8


def test_a_scan_takes_part_in_lazy_work(lake, bars, tmp_path):
    put(lake, bars(500))
    frame = lake.scan("bars").sort("ts")
    days = frame.group_by_dynamic("ts", every=f"{86_400_000_000_000}i").agg(pl.len()).collect()
    assert days["len"].sum() == 500
    later = frame.select(ts=pl.col("ts") + 1, volume="volume").join_asof(
        frame.select("ts", "close"), on="ts"
    )
    assert later.collect()["close"].null_count() == 0
    frame.sink_parquet(tmp_path / "out.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet"), frame.collect())


def test_a_scan_made_before_the_first_row_sees_the_rows(lake, bars):
    lake.prepare()
    frame = lake.scan("bars")
    assert frame.collect().is_empty()
    put(lake, bars(3))
    assert frame.collect().height == 3


def test_views_are_made_for_two_questions_as_they_come_and_then_all(lake):
    asked = ("from stg_trades", "from coverage", "from stg_trades, coverage", "from bars_1d")
    one, two, again, three = (len(lake.views.statements(query)) for query in asked)
    assert one < two == again < three == len(lake.views.statements())


def test_a_lake_that_becomes_one_is_seen(tmp_path, bars):
    lake = Lake(tmp_path / "lake")
    assert lake.sql("select count(*) from bars").item() == 0
    put(Lake(tmp_path / "lake"), bars(3))
    assert lake.sql("select count(*) from bars").item() == 3


def test_sums_of_whole_numbers_are_whole_numbers(lake, bars):
    put(lake, bars(3))
    answer = lake.sql("select sum(1) as n, sum(ts::hugeint) * 10000000 as big from bars")
    assert answer["n"].dtype == pl.Int64
    assert answer["big"].item() == sum(bars(3)["ts"]) * 10_000_000


def test_a_question_takes_parameters(lake):
    assert lake.sql("select $x + 1 as y", {"x": 2}).item() == 3
    assert lake.sql("select ? as y", [4]).item() == 4


@pytest.mark.parametrize(
    "query",
    [
        *("select 1 as x", "with a as (select 1) from a", "from bars", "values (1)", "show tables"),
        *("describe bars", "summarize bars", "explain select 1", "explain analyze from bars"),
        *("pivot (select 'a' as k, 1 as v) on k using sum(v)", "/* drop */ select 1 -- drop"),
        "unpivot (select 1 as a, 2 as b) on a, b",
    ],
)
def test_every_kind_of_question_is_answered(lake, query):
    assert lake.sql(query).width > 0


@pytest.mark.parametrize(
    "query",
    [
        *("drop view bars", "create table t as select 1", "insert into bars values (1)"),
        *("set threads = 2", "attach 'x.db'", "copy (select 1) to 'x.csv'", "delete from bars"),
        *("create or replace view bars as select 1", "pragma threads=2"),
        "select 1; drop view bars",
        *("", ";", "select 1; select 2", "explain analyze drop view bars"),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused(lake, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^sql: .*question") as caught:
        lake.sql(query)
    assert "\n" not in str(caught.value)
    assert lake.sql("from bars").width > 5
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("selec 1", "syntax error"),
        ("from candles", "candles does not exist"),
        ("select clse from bars", "clse"),
        ("select 'x'::int", "Could not convert"),
    ],
)
def test_a_wrong_question_is_one_clear_line(lake, query, problem):
    with pytest.raises(UsageError, match=problem) as caught:
        lake.sql(query)
    assert "\n" not in str(caught.value)


def test_a_spoilt_file_is_an_error_of_the_data(lake, bars):
    put(lake, bars(3))
    with pytest.raises(DataError):
        lake.sql("from read_parquet('/nowhere.parquet')")


def test_times_are_utc_for_people_and_nanoseconds_for_programs(lake, bars):
    put(lake, bars(1, since="2024-07-01T12:00"))
    row = lake.sql("select time, ts, strftime(time, '%H:%M') as clock from bars").row(0, named=True)
    assert row["clock"] == "12:00"
    assert row["time"].isoformat() == "2024-07-01T12:00:00"
    assert row["ts"] == bars(1, since="2024-07-01T12:00")["ts"][0]


def test_the_marts_answer_their_questions(lake, bars):
    put(lake, pl.concat([bars(48), bars(60, interval="1m", since="2024-02-01")]))
    assert lake.sql("select close, interval from latest order by 2").rows() == [
        (148.0, "1h"),
        (160.0, "1m"),
    ]
    assert lake.sql("select bars, interval from series order by 2").rows() == [
        (48, "1h"),
        (60, "1m"),
    ]
    days = lake.sql("select open, high, low, close from bars_1d order by ts")
    assert days.rows() == [(100.0, 125.0, 98.0, 124.0), (124.0, 149.0, 122.0, 148.0)]
    book = {
        "ts": [1, 2],
        "bids": [[{"price": 99.0, "size": 2.0}], []],
        "asks": [[{"price": 101.0, "size": 1.0}]] * 2,
    }
    who = {"symbol": pl.lit("BTC-BRL"), "exchange": pl.lit("x")}
    lake.write("orderbook_l2", pl.DataFrame(book).with_columns(**who), source="t", now_ns=1)
    top = lake.sql("select bid, ask, mid, spread_bps from book_top order by ts").rows()
    assert top == [(99.0, 101.0, 100.0, pytest.approx(200.0)), (None, 101.0, None, None)]


def test_types_that_polars_lacks_are_text(lake, bars):
    put(lake, bars(3))
    query = """select max(time) - min(time) as span, union_value(n := 1) as one,
        {'a': interval 1 day} as s, '101'::bit as bits, 7 as n from bars"""
    answer = lake.sql(query)
    assert answer.row(0) == ("02:00:00", "1", "{'a': 1 day}", "101", 7)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("timestamp '290000-01-01'", "290000-01-01 00:00:00"),
        ("'infinity'::date", "infinity"),
        ("[timestamptz '-infinity']", "[-infinity]"),
        ("{'a': date '10000-01-01'}", "{'a': 10000-01-01}"),
        ("map {1: date '10000-01-01'}", "{1=10000-01-01}"),
        ("timestamp '9999-12-31 23:59:59.999999'", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("date '0001-01-01'", date(1, 1, 1)),
        ("timestamp_ns '2200-01-01'", datetime(2200, 1, 1)),
        ("null::timestamp", None),
    ],
)
def test_moments_that_python_has_no_date_for_are_text(lake, asked, answer):
    assert lake.sql(f"select {asked} as moment").item() == answer


def test_names_of_fields_do_not_make_text_of_a_struct(lake):
    answer = lake.sql("""select {'INTERVAL': 1} as s""")
    assert answer.item() == {"INTERVAL": 1}


def test_a_view_with_an_interval_can_be_scanned(tmp_path, bars):
    sql = tmp_path / "sql/marts"
    sql.mkdir(parents=True)
    (sql / "age.sql").write_text(
        "-- One.\ncreate or replace view age as select symbol, interval 1 day as d from bars"
    )
    lake = Lake(tmp_path / "lake")
    put(lake, bars(2))
    assert lake.scan("age").collect()["d"].to_list() == ["1 day"] * 2


@pytest.mark.parametrize(
    "error",
    [
        duckdb.TransactionException("no space left"),
        duckdb.IOException("Could not write file: No space left on device"),
        OSError(28, "No space left on device"),
    ],
)
def test_a_lake_db_that_cannot_be_written_is_an_error_that_commands_pass_over(
    lake, monkeypatch, error
):
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(catalog.Catalog, "_rewrite", fails)
    with pytest.raises(LakeUnwritable, match="holds views only"):
        lake.refresh_catalog()
