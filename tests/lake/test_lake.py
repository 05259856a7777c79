import subprocess
import sys
from datetime import UTC, date, datetime
from itertools import pairwise, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import DataError, EmptyDataset, NoBars, UnknownSymbol, UsageError
from cq.lake import Lake
from cq.lake.lake import moment
from cq.lake.quarantine import quarantine
from cq.lake.reader import COLUMNS
from cq.lake.verify import verify
from cq.utils.time import DAY, HOUR, MINUTE, interval_ns, parse_time

SPEC = "{dataset}/{symbol}/{YYYY}/{MM}/{DD}/file-{HHmmss}.parquet"
JANUARY = parse_time("2024-01-01")


def put(lake: Lake, *frames: pl.DataFrame) -> None:
    lake.write("ohlcv", pl.concat(frames), source="test", now_ns=1)


def times(lake: Lake, *args, **more) -> list[int]:
    return lake.bars(*args, **more).collect()["ts"].to_list()


@pytest.fixture(params=["default", "spec"])
def either(request, tmp_path) -> Lake:
    templates = {"spec": {"ohlcv": SPEC, "coverage": SPEC}}
    return Lake(tmp_path / "lake", partitions=templates.get(request.param))


def test_bars_are_those_that_open_in_the_range(either, bars):
    put(either, bars(72))
    asked = times(either, "BTC-BRL", "1h", "2024-01-02", "2024-01-02T03:00")
    assert asked == [JANUARY + DAY + i * HOUR for i in range(3)]
    assert times(either, "BTC-BRL", "1h", JANUARY + 70 * HOUR) == [
        JANUARY + 70 * HOUR,
        JANUARY + 71 * HOUR,
    ]
    assert times(either, "BTC-BRL", "1h", None, datetime(2024, 1, 1, 1)) == [JANUARY]
    assert times(either, "BTC-BRL", "1h", "2030-01-01") == []


@pytest.mark.parametrize(
    "template",
    [
        "ohlcv/symbol={symbol}/day={YYYY}{MM}{DD}/f.parquet",
        "ohlcv/{exchange}-{symbol}-{interval}/{YYYY}/f.parquet",
    ],
)
def test_a_folder_may_be_named_for_several_things_at_once(tmp_path, bars, template):
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": template})
    rows = bars(72, since="2023-12-30", exchange="a-b")
    put(lake, rows, bars(2, interval="1m"))
    assert lake.write("ohlcv", rows, source="again", now_ns=2).already_there == 72
    found = times(lake, "BTC-BRL", "1h", "2023-12-31", "2024-01-01", exchange="a-b")
    assert found == [JANUARY - DAY + i * HOUR for i in range(24)]
    assert lake.sql("select count(*) from bars").item() == 74


def test_bars_of_many_symbols_come_by_symbol_and_time(either, bars):
    put(either, bars(30, "ETH-BRL"), bars(30, "BTC-BRL"), bars(30, "BTC-BRL", "1m"))
    found = either.bars(["ETH-BRL", "BTC-BRL", "ETH-BRL"], "1h").collect()
    assert_frame_equal(found, found.sort("symbol", "ts"))
    assert found["symbol"].to_list() == ["BTC-BRL"] * 30 + ["ETH-BRL"] * 30
    assert found.columns == list(COLUMNS)


def test_only_asked_columns_come(either, bars):
    put(either, bars(3))
    assert either.bars("BTC-BRL", "1h", columns=["ts", "close"]).collect().columns == [
        "ts",
        "close",
    ]


def test_the_direct_way_equals_the_view(either, bars):
    put(either, bars(400, since="2023-12-20"), bars(20, "ETH-BRL"))
    view = (
        either.scan("bars")
        .filter(symbol="BTC-BRL", interval="1h")
        .sort("ts")
        .select("ts", "open", "high", "low", "close", "volume", "symbol", "exchange")
    )
    assert_frame_equal(either.bars("BTC-BRL", "1h").collect(), view.collect())


def test_bars_from_many_small_files_are_in_order(either, bars):
    whole = bars(40)
    for start in (20, 0, 35, 10, 30):
        put(either, whole.slice(start, 10))
    assert times(either, "BTC-BRL", "1h") == whole["ts"].to_list()


def test_a_bar_that_is_not_closed_yet_is_left_out(either, bars):
    put(either, bars(3))
    assert times(either, "BTC-BRL", "1h", now_ns=JANUARY + 2 * HOUR) == [JANUARY, JANUARY + HOUR]
    assert len(times(either, "BTC-BRL", "1h", now_ns=JANUARY + 3 * HOUR - 1)) == 2


def test_an_unknown_symbol_is_told_what_there_is(lake, bars):
    with pytest.raises(EmptyDataset, match="cq lake import"):
        lake.bars("BTC-BRL", "1h")
    put(lake, bars(1), bars(1, "ETH-BRL"))
    with pytest.raises(UnknownSymbol, match="no DOGE-BRL here; there is BTC-BRL, ETH-BRL;"):
        lake.bars("DOGE-BRL", "1h")


def test_a_symbol_of_two_exchanges_asks_which(either, bars):
    put(either, bars(2), bars(3, exchange="binance"))
    with pytest.raises(DataError, match="binance and mercadobitcoin; say exchange="):
        either.bars("BTC-BRL", "1h")
    assert len(times(either, "BTC-BRL", "1h", exchange="binance")) == 3
    with pytest.raises(UnknownSymbol, match="of kraken"):
        either.bars("BTC-BRL", "1h", exchange="kraken")


def test_a_finer_interval_than_stored_is_refused_with_what_is_there(lake, bars):
    put(lake, bars(2), bars(2, interval="1d"))
    with pytest.raises(NoBars, match=r"at 15m or a finer .* the lake holds 1h, 1d"):
        lake.bars("BTC-BRL", "15m")
    with pytest.raises(UsageError, match="is not an interval"):
        lake.bars("BTC-BRL", "1y")


def test_a_coarser_interval_is_made_from_complete_buckets(either, bars):
    put(either, bars(60 + 30, interval="1m"))
    (only,) = either.bars("BTC-BRL", "1h").collect().to_dicts()
    assert (only["ts"], only["open"], only["close"]) == (JANUARY, 100.0, 160.0)
    assert (only["high"], only["low"]) == (161.0, 98.0)
    assert only["volume"] == pytest.approx(sum(range(100, 160)) / 100)


def test_the_coarsest_fitting_interval_is_taken(lake, bars):
    hours = bars(48).with_columns(volume=pl.lit(7.0))
    put(lake, bars(60, interval="1m"), hours)
    assert lake.bars("BTC-BRL", "1d").collect()["volume"].to_list() == [168.0, 168.0]


def hours_asked(hours, *, rows, asked_ts):
    """Coverage of so many hours from January on."""
    asked = {"start_ts": JANUARY, "end_ts": JANUARY + hours * HOUR, "rows": rows}
    return pl.DataFrame([asked | {"asked_ts": asked_ts}]).with_columns(
        dataset=pl.lit("ohlcv"),
        symbol=pl.lit("BTC-BRL"),
        exchange=pl.lit("mercadobitcoin"),
        interval=pl.lit("1h"),
    )


def test_a_made_bucket_needs_its_end_to_be_known(lake, bars):
    put(lake, bars(23))
    assert times(lake, "BTC-BRL", "1d") == []
    lake.write("coverage", hours_asked(24, rows=23, asked_ts=1), source="test", now_ns=1)
    assert times(lake, "BTC-BRL", "1d") == [JANUARY]
    assert times(lake, "BTC-BRL", "1d", now_ns=JANUARY + DAY - 1) == []


def made(lake, interval):
    """When made bars open, by both readers, which agree."""
    told = lake.sql("select ts from ohlcv('BTC-BRL', $1) order by ts", [interval])["ts"].to_list()
    assert times(lake, "BTC-BRL", interval) == told
    return told


@pytest.mark.parametrize("names", [("24h", "1d", "1w"), ("60m", "1h", "4h")])
def test_of_two_names_of_one_length_the_first_makes_coarser_bars(tmp_path, bars, names):
    *twins, wanted = names
    for order in (twins, twins[::-1]):
        lake = Lake(tmp_path / order[0])
        for name in order:
            rows = bars(14, interval=name).with_columns(volume=pl.lit(float(name == min(twins))))
            put(lake, rows)
        assert lake.bars("BTC-BRL", wanted).collect()["volume"].min() >= 1.0
        told = lake.sql("select min(volume) as volume from ohlcv('BTC-BRL', $1)", [wanted])
        assert told.item() >= 1.0


@pytest.mark.parametrize("again", [96, 100])
def test_a_made_bucket_whose_end_is_lost_is_not_complete(lake, bars, again):
    lake.write("ohlcv", bars(70), source="test", now_ns=1)
    lake.write("ohlcv", bars(26, since="2024-01-03T22:00"), source="test", now_ns=2)
    coverage = hours_asked(again, rows=96, asked_ts=3)
    lake.write("coverage", coverage, source="test", now_ns=3)
    assert made(lake, "1d") == [JANUARY + day * DAY for day in range(4)]
    later = max(lake.files("BTC-BRL", "1h"), key=lambda path: pl.read_parquet(path)["ts"].max())
    later.write_bytes(later.read_bytes()[:-50])
    quarantine(lake, verify(lake).damaged, now_ns=4)
    assert made(lake, "1d") == [JANUARY, JANUARY + DAY]
    assert made(lake, "4h")[-1] == JANUARY + 64 * HOUR
    lake.write("coverage", coverage.with_columns(asked_ts=5), source="test", now_ns=5)
    assert made(lake, "1d") == [JANUARY + day * DAY for day in range(3)]


def test_made_buckets_keep_to_the_range(lake, bars):
    put(lake, bars(24 * 10))
    asked = times(lake, "BTC-BRL", "1d", "2024-01-02T05:00", "2024-01-05T01:00")
    assert asked == [JANUARY + i * DAY for i in (2, 3, 4)]


@given(
    since=st.integers(0, 2000),
    length=st.integers(0, 2000),
    interval=st.sampled_from(["1m", "5m", "1h", "3h", "1d"]),
    finer=st.sampled_from(["1m", "5m"]),
)
@settings(max_examples=40, deadline=None)
def test_a_range_of_made_bars_is_a_part_of_all_made_bars(two_days, since, length, interval, finer):
    lake = two_days[finer]
    if interval_ns(interval) < interval_ns(finer):
        return
    start, end = JANUARY + since * MINUTE, JANUARY + (since + length) * MINUTE
    whole = lake.bars("BTC-BRL", interval).filter(pl.col("ts") >= start, pl.col("ts") < end)
    part = lake.bars("BTC-BRL", interval, start, end)
    assert_frame_equal(part.collect(), whole.collect(), check_exact=True)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory, bars):
    """Volumes whose sum depends on the order in which they are added, in files of any length."""
    made = {}
    random = np.random.default_rng(5)
    for interval, count in {"1m": 2880 - 7, "5m": 576 - 1}.items():
        rows = bars(count, interval=interval).with_columns(
            volume=pl.Series(random.lognormal(0, 3, count))
        )
        made[interval] = Lake(tmp_path_factory.mktemp("lake") / "lake")
        rows = rows.filter(pl.col("ts") % 11 != 0)
        for begun, over in pairwise([0, 37, 100, 101, 700, rows.height]):
            put(made[interval], rows[begun:over])
    return made


def test_made_bars_are_the_same_bits_on_each_engine_and_beside_other_symbols(two_days, bars):
    lake = two_days["1m"]
    put(lake, bars(500, "ETH-BRL", "1m"))
    alone = lake.bars("BTC-BRL", "1h")
    both = lake.bars(["BTC-BRL", "ETH-BRL"], "1h").filter(pl.col("symbol") == "BTC-BRL")
    for frame, engine in product((alone, both), ("in-memory", "streaming")):
        assert_frame_equal(frame.collect(engine=engine), alone.collect(), check_exact=True)


def test_hours_make_the_published_days(shared, tmp_path):
    def read(name: str, interval: str) -> pl.DataFrame:
        return pl.read_parquet(shared / f"market/ohlcv/{name}.parquet").with_columns(
            symbol=pl.col("symbol").str.replace("USDT$", "-USDT"), interval=pl.lit(interval)
        )

    lake = Lake(tmp_path / "lake")
    put(lake, read("hourly_binance_usdt_12", "1h"))
    days = read("daily_binance_usdt_12", "1d").drop("interval").sort("symbol", "ts")
    made = lake.bars(days["symbol"].unique().to_list(), "1d").collect()
    assert made.height == 16_994
    assert_frame_equal(made.drop("volume"), days.drop("volume"), check_exact=True)
    assert ((made["volume"] / days["volume"]) - 1).abs().max() < 1e-6  # type: ignore[operator]


def test_the_last_bars_before_a_moment(either, bars):
    put(either, bars(100), bars(5, "ETH-BRL"))
    before = either.bars_before(["BTC-BRL", "ETH-BRL"], "1h", JANUARY + 50 * HOUR, 10).collect()
    mine = before.filter(symbol="BTC-BRL")["ts"].to_list()
    assert mine == [JANUARY + i * HOUR for i in range(40, 50)]
    assert before.filter(symbol="ETH-BRL").height == 5


def test_the_last_bars_before_a_moment_reach_over_gaps(lake, bars):
    put(lake, bars(20, since="2020-01-01"), bars(3))
    before = lake.bars_before("BTC-BRL", "1h", JANUARY + 3 * HOUR, 10).collect()["ts"]
    assert (len(before), before[0]) == (10, parse_time("2020-01-01T13:00"))


def test_bars_before_1970_that_others_filed_are_passed_over(lake, bars):
    put(lake, bars(2))
    old = bars(4, since="1969-12-31T22:00")
    for year in (1969, 1970):
        folder = lake.root / "ohlcv/exchange=mercadobitcoin/symbol=BTC-BRL/interval=1h"
        folder = folder / f"year={year}"
        folder.mkdir()
        rows = old.filter((pl.col("ts") < 0) == (year == 1969))
        rows.write_parquet(folder / "theirs.parquet")
    found = lake.bars_before("BTC-BRL", "1h", JANUARY + DAY, 100).collect()
    assert found["ts"].to_list() == [0, HOUR, JANUARY, JANUARY + HOUR]
    assert times(lake, "BTC-BRL", "1h") == found["ts"].to_list()
    assert lake.bars_before("BTC-BRL", "1h", 0, 1).collect().is_empty()


def test_no_symbols_have_no_bars(lake, bars):
    put(lake, bars(2))
    plain, before = lake.bars([], "1h").collect(), lake.bars_before([], "1h", JANUARY, 3).collect()
    assert plain.is_empty()
    assert before.schema == plain.schema
    filled = lake.bars([], "1h", fill="forward").collect()
    assert filled.is_empty()
    assert filled.schema == lake.bars("BTC-BRL", "1h", fill="forward").collect().schema


@pytest.mark.parametrize("interval", ["1h", "1d", "1w", "1M"])
def test_days_far_from_all_rows_are_answered_as_any_other(either, bars, interval):
    put(either, bars(24 * 40))
    every = times(either, "BTC-BRL", interval)
    assert times(either, "BTC-BRL", interval, "0001-01-01", "9999-12-30") == every
    for start, end in (("9999-12-30", None), (None, "0001-01-01"), (10**20, -(10**20))):
        assert times(either, "BTC-BRL", interval, start, end) == []
        assert either.files("BTC-BRL", interval, start, end) == []
        assert either.fingerprint(start=start, end=end).rows == 0
    before = either.bars_before("BTC-BRL", interval, parse_time("9999-12-30"), 2)
    assert before.collect()["ts"].to_list() == every[-2:]


def test_a_symbol_of_another_exchange_is_said_to_be_there(lake, bars):
    put(lake, bars(2))
    with pytest.raises(UnknownSymbol, match=r"no BTC-BRL of nope here.* BTC-BRL of mercadobitcoin"):
        lake.bars("BTC-BRL", "1h", exchange="nope")


def test_stored_series_come_from_folder_names(either, bars):
    assert either.stored().is_empty()
    put(either, bars(2), bars(2, "ETH-BRL", "1m"), bars(2, exchange="binance"))
    assert either.stored().rows() == [
        ("binance", "BTC-BRL", "1h"),
        ("mercadobitcoin", "BTC-BRL", "1h"),
        ("mercadobitcoin", "ETH-BRL", "1m"),
    ]


def test_the_files_of_a_question_are_named(lake, bars):
    put(lake, bars(10, since="2022-05-01"), bars(10, since="2023-05-01"))
    (one,) = lake.files("BTC-BRL", "1h", "2023-01-01")
    assert one.parent.name == "year=2023"
    assert len(lake.files("BTC-BRL", "1d")) == 2


def test_the_door_opens_cheaply():
    code = (
        "import sys, cq; assert 'polars' not in sys.modules; from cq import Lake; "
        "print([m for m in ('duckdb', 'pyarrow', 'pydantic', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_reading_bars_needs_neither_duckdb_nor_pyarrow(lake, bars):
    put(lake, bars(3))
    code = (
        "import sys; from cq import Lake; assert Lake(sys.argv[1]).bars('BTC-BRL', '1h')"
        ".collect().height == 3; print([m for m in ('duckdb', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(lake.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_an_unknown_attribute_of_the_package_is_an_attribute_error():
    import cq

    with pytest.raises(AttributeError, match="no attribute 'Lakes'"):
        cq.Lakes  # noqa: B018


def test_a_lake_says_where_it_is(lake):
    assert repr(lake) == f"Lake('{lake.root}')"


def test_a_spoilt_file_is_an_error_of_the_data(lake, bars):
    put(lake, bars(3))
    (path,) = lake.files("BTC-BRL", "1h")
    path.write_bytes(b"no Parquet")
    with pytest.raises(DataError, match="cannot be read"):
        put(lake, bars(3))
    with pytest.raises(DataError, match="cannot be read"):
        lake.bars("BTC-BRL", "1d").collect()


@pytest.mark.parametrize(
    "value",
    ["2025-03-01", date(2025, 3, 1), datetime(2025, 3, 1), datetime(2025, 3, 1, tzinfo=UTC)],
)
def test_a_moment_may_be_text_a_date_or_a_datetime(value):
    assert moment(value, 0) == parse_time("2025-03-01T00:00Z")


def test_a_moment_of_no_known_kind_says_what_is_expected():
    with pytest.raises(UsageError, match="expected a date, a datetime, nanoseconds or text"):
        moment(1.5, 0)


def test_what_belongs_to_a_lake_lies_beside_the_link_that_names_it(tmp_path, bars):
    project, real = tmp_path / "project", Lake(tmp_path / "elsewhere/real")
    put(real, bars(3))
    project.mkdir()
    (project / "lake").symlink_to("../elsewhere/real")
    lake = Lake(project / "lake")
    assert lake.refresh_catalog()
    assert lake.catalog == project / "lake.db"
    assert lake.catalog.is_file()
    assert (lake.sql_root, lake.runs) == (project / "sql", project / "runs")
    assert not real.catalog.exists()
    assert lake.root == real.root  # and with it locks and what is known of files
    assert Lake(project / "../project/lake").catalog == lake.catalog


def test_what_names_no_symbol_is_refused_in_a_line(lake, bars):
    put(lake, bars(3))
    with pytest.raises(UsageError, match="symbols is None; expected one such as 'BTC-BRL'"):
        lake.bars(None, "1h")


def test_rows_may_come_in_a_lazy_frame(lake, bars):
    rows = bars(3).lazy()
    landed = lake.write("ohlcv", rows, source="test", now_ns=0)
    again = lake.replace("ohlcv", rows, source="test", now_ns=0)
    assert (landed.landed, again.already_there) == (3, 3)
