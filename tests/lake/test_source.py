import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import DataError, Unreadable
from cq.lake import Lake, reader, source
from cq.lake.datasets import OHLCV
from cq.lake.layout import Part
from cq.lake.source import batches, rows_of
from cq.utils.time import DAY, HOUR

NAMES = count()
DAILY = "ohlcv/symbol={symbol}/year={YYYY}/month={MM}/day={DD}/file-{HHmmss}.parquet"


def put(lake: Lake, rows: pl.DataFrame) -> None:
    lake.write("ohlcv", rows, source="test", now_ns=1)


@pytest.fixture
def days(tmp_path, bars) -> Lake:
    """Ten days of hours, a folder each, in two files."""
    lake = Lake(tmp_path / "days", partitions={"ohlcv": DAILY})
    rows = bars(240)
    put(lake, rows.gather_every(2))
    put(lake, rows.gather_every(2, 1))
    return lake


def compact(folder: Path) -> None:
    """What another process does to a folder, in the fewest steps."""
    paths = list(folder.iterdir())
    rows = pl.scan_parquet(paths, glob=False, hive_partitioning=False).sort("ts").collect()
    beside = folder.with_name("beside")
    beside.mkdir()
    rows.write_parquet(beside / f"file-000000-{next(NAMES):012x}.parquet")
    aside = folder.with_name("aside")
    folder.rename(aside)
    beside.rename(folder)
    shutil.rmtree(aside)


def folders(lake: Lake) -> list[Path]:
    return sorted({path.parent for path in lake.files("BTC-BRL", "1h")})


class Meddled:
    """Compacts a folder between the naming of files and their reading, so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lake: Lake, times: int, from_: int = 0):
        self.left, self.lake, self.asked, self.from_ = times, lake, 0, from_
        self.attempt = source.attempt
        monkeypatch.setattr(source, "attempt", self)

    def __call__(self, work, parts):
        self.asked += 1
        if self.asked > self.from_ and self.left:
            self.left -= 1
            compact(parts[-1].path.parent)
        return self.attempt(work, parts)


@pytest.mark.parametrize("engine", ["streaming", "in-memory"])
def test_a_folder_that_is_swapped_between_naming_and_reading_loses_no_row(
    days, bars, monkeypatch, engine
):
    frame = days.bars("BTC-BRL", "1h")
    meddled = Meddled(monkeypatch, days, 1)
    assert_frame_equal(frame.collect(engine=engine)["ts"].to_frame(), bars(240).select("ts"))
    assert meddled.left == 0


def test_a_folder_that_is_swapped_before_its_files_are_looked_into_loses_no_row(
    days, bars, monkeypatch
):
    looked, look = [], reader._end.__wrapped__

    def end(path, *which, **more):
        if not looked:
            looked.append(path)
            compact(path.parent)
        return look(path, *which, **more)

    monkeypatch.setattr(reader, "_end", end)
    frame = days.bars("BTC-BRL", "1h", end=bars(121)["ts"][-1] - 1)
    assert_frame_equal(frame.select("ts").collect(), bars(120).select("ts"))
    assert looked


def test_what_was_handed_on_before_a_swap_is_not_handed_on_again(days, bars, monkeypatch):
    monkeypatch.setattr(source, "BATCH_BYTES", 1)
    frame = days.bars("BTC-BRL", "1h")
    meddled = Meddled(monkeypatch, days, 4, from_=3)
    assert_frame_equal(frame.select("ts").collect(), bars(240).select("ts"))
    assert meddled.left == 0
    assert meddled.asked == 10 + 4


def test_made_bars_and_the_last_ones_survive_a_swap_too(days, monkeypatch):
    whole = days.bars("BTC-BRL", "4h").collect()
    made, last = days.bars("BTC-BRL", "4h"), days.bars_before("BTC-BRL", "1h", 2**62, 30)
    Meddled(monkeypatch, days, 1)
    assert_frame_equal(made.collect(), whole)
    Meddled(monkeypatch, days, 1)
    assert last.collect().height == 30


def test_files_that_never_stay_end_in_one_clear_error(days, monkeypatch):
    frame = days.bars("BTC-BRL", "1h")
    monkeypatch.setattr(source, "attempt", lambda *_: (_ for _ in ()).throw(source.Swapped))
    with pytest.raises(DataError, match="vanished 50 times while they were read; try again"):
        frame.collect()


def test_rows_are_those_there_are_when_a_frame_is_collected(lake, bars):
    put(lake, bars(3))
    frame, none = lake.bars("BTC-BRL", "1h"), lake.bars("BTC-BRL", "1h", "2030-01-01")
    assert none.collect().is_empty()
    put(lake, bars(5))
    assert frame.collect().height == 5
    put(lake, bars(1, since="2030-02-01"))
    assert none.collect().height == 1


def test_a_damaged_file_is_named_by_our_own_error_whoever_collects(days):
    frame = days.bars("BTC-BRL", "1h")
    path = days.files("BTC-BRL", "1h")[7]
    path.write_bytes(path.read_bytes()[:-9])
    for collect in (frame.collect, lambda: frame.collect(engine="in-memory"),
                    lambda: pl.collect_all([frame, frame.select("close")])):  # fmt: skip
        with pytest.raises(Unreadable, match=path.name):
            collect()


def test_the_files_of_made_bars_are_those_of_all_bars_that_they_are_made_of(days):
    week = days.bars("BTC-BRL", "1w").collect()["ts"].to_list()
    assert len(week) == 1
    files = days.files("BTC-BRL", "1w", week[0], week[0] + 1)
    assert len({path.parent for path in files}) == 7
    rows = pl.scan_parquet(files, glob=False, hive_partitioning=False).select("ts").collect()["ts"]
    assert (rows.min(), rows.max()) == (week[0], week[0] + 7 * DAY - HOUR)
    assert days.files("BTC-BRL", "1w", week[0] + 1, week[0] + 2) == []


def test_a_mistake_in_a_filter_is_no_damage(days):
    wrong = days.bars("BTC-BRL", "1h").filter(pl.col("symbol").cast(pl.Int64) > 1)
    with pytest.raises(pl.exceptions.InvalidOperationError):
        wrong.collect()


@pytest.mark.parametrize("engine", ["streaming", "in-memory"])
def test_one_frame_serves_joins_and_threads(days, engine):
    frame = days.bars("BTC-BRL", "1h")
    later = frame.with_columns(pl.col("ts") + 3_600_000_000_000)
    both = frame.join(later, on=["symbol", "ts"], maintain_order="left").select("ts", "close")
    assert both.collect(engine=engine).height == 239
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: frame.collect(engine=engine), range(6)))
    assert all(one.equals(found[0]) for one in found)
    assert [one.height for one in pl.collect_all([frame, both, frame.tail(3)])] == [240, 239, 3]


@settings(max_examples=40)
@given(data=st.data())
def test_a_lazy_question_equals_the_eager_one(tmp_path_factory, two_days, data):
    lake, rows = two_days
    ts = st.integers(rows["ts"][0] - 1, rows["ts"][-1] + 1)
    predicate = data.draw(
        st.sampled_from([
            pl.col("ts") >= data.draw(ts),
            pl.col("ts").is_between(data.draw(ts), data.draw(ts)),
            pl.col("close").is_in([101.0, 140.0, -1.0]) | (pl.col("open") > 130),
            pl.col("close").shift(1) > 120.0,
            (pl.col("symbol") == "ETH-BRL") & ~(pl.col("volume") < 1.2),
        ])
    )  # fmt: skip
    columns = data.draw(st.lists(st.sampled_from(rows.columns), min_size=1, unique=True))
    offset, length = data.draw(st.integers(-5, 60)), data.draw(st.integers(0, 60))
    engine = data.draw(st.sampled_from(["streaming", "in-memory"]))

    def ask(frame: pl.LazyFrame) -> pl.DataFrame:
        step = frame.filter(predicate) if data.draw(before) else frame
        return step.slice(offset, length).select(columns).collect(engine=engine)

    before = st.shared(st.booleans(), key="before")
    assert_frame_equal(ask(lake.bars(["BTC-BRL", "ETH-BRL"], "1h")), ask(rows.lazy()))


@pytest.fixture(scope="module")
def two_days(tmp_path_factory, bars):
    lake = Lake(tmp_path_factory.mktemp("two") / "lake", partitions={"ohlcv": DAILY})
    both = [bars(48), bars(30, "ETH-BRL", since="2024-01-01T12:00")]
    for rows in both:
        for step in range(3):
            put(lake, rows.gather_every(3, step))
    return lake, pl.concat(both).drop("interval")


@pytest.mark.parametrize("named", ["symbol", "ts"])
def test_sortedness_is_claimed_only_where_it_holds(days, bars, named):
    stranger = days.files("BTC-BRL", "1h")[0].with_name("theirs.parquet")
    bars(5, since="2023-06-01").reverse().write_parquet(stranger)
    found = days.bars("BTC-BRL", "1h").collect()
    assert found[named].to_list() == sorted(found[named].to_list())
    assert found.height == 245


def test_rows_of_a_dataset_come_from_the_files_of_an_owner_and_range(days):
    rows = rows_of(days.root, days.layouts["ohlcv"], OHLCV, {"symbol": "BTC-BRL"})
    assert rows.collect().height == 240
    assert rows.collect_schema() == pl.Schema(OHLCV.schema)
    none = rows_of(days.root, days.layouts["ohlcv"], OHLCV, {"symbol": "XRP-BRL"})
    assert_frame_equal(none.collect(), OHLCV.empty())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40_000_000)), max_size=30))
def test_batches_keep_order_and_folders_together(found):
    parts = [Part((when,), Path(f"{i}")) for i, (when, _) in enumerate(sorted(found))]
    made = [batch for batch, _ in batches(parts)]
    assert [part for batch in made for part in batch] == parts
    folders_of = [{part.when for part in batch} for batch in made]
    assert sum(map(len, folders_of)) == len(set().union(*folders_of))


def test_a_file_written_anew_under_its_name_is_read_anew(tmp_path, bars):
    """What Polars remembers of a file's footer is of that file only."""
    path = tmp_path / "some.parquet"
    for hours in (240, 7, 100):
        rows = bars(hours)
        rows.write_parquet(path)
        for _ in range(2):
            assert_frame_equal(source.scan([path], OHLCV).collect(), rows, check_column_order=False)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        source.scan([path], OHLCV).collect()


@pytest.mark.parametrize("columns", [("close",), ("ts", "volume"), ("symbol", "ts"), ("exchange",)])
def test_the_columns_asked_for_come_in_their_order(days, bars, columns):
    found = days.bars("BTC-BRL", "1h", columns=columns)
    assert found.collect_schema().names() == list(columns)
    assert_frame_equal(found.collect(), bars(240).select(columns))
    assert_frame_equal(days.bars("BTC-BRL", "1d", columns=columns).collect(),
                       days.bars("BTC-BRL", "1d").select(columns).collect())  # fmt: skip


def test_one_column_may_be_said_as_it_is_and_several_come_from_anything(days, bars):
    for columns in ("close", ["close"], iter(["close"])):
        assert_frame_equal(days.bars("BTC-BRL", "1h", columns=columns).collect(),
                           bars(240).select("close"))  # fmt: skip


def test_a_column_that_bars_do_not_have_is_an_error(days):
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="bid"):
        days.bars("BTC-BRL", "1h", columns=("ts", "bid")).collect()
