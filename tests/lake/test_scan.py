import os
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq.errors import DataError, Unreadable
from cq.lake import Lake, disk, scan, stillness
from cq.lake.swap import LINGER_S


@pytest.fixture
def hours(lake, bars) -> Lake:
    for symbol in ("BTC-BRL", "ETH-BRL"):
        for since in ("2024-01-01", "2024-01-11"):
            lake.write("ohlcv", bars(240, symbol, since=since), source="test", now_ns=1)
    return lake


class Swapping:
    """The files of each folder become one of another name, in one step, again and again.

    What was replaced stays as long as compaction leaves it for who has it open.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake, self.number = lake, 0
        self.replaced: deque[tuple[float, Path]] = deque()

    def once(self) -> None:
        for path in self.lake.root.glob("ohlcv/*/*/*/year=2024"):
            rows = pl.read_parquet(list(path.glob("*.parquet")), hive_partitioning=False).sort("ts")
            self.number += 1
            beside = self.lake.root / ".work" / str(self.number)
            beside.mkdir(parents=True)
            rows.write_parquet(beside / f"file-000000-{self.number:012x}.parquet")
            with stillness.changing(self.lake.root, "the test's folder", 60):
                disk.exchange(beside, path)
            self.replaced.append((monotonic(), beside))
        while self.replaced and self.replaced[0][0] + LINGER_S < monotonic():
            shutil.rmtree(self.replaced.popleft()[1])


@contextmanager
def swapped_all_the_time(lake: Lake) -> Iterator[None]:
    done = Event()

    def swapping() -> None:
        swaps = Swapping(lake)
        while not done.is_set():
            swaps.once()

    other = Thread(target=swapping)
    other.start()
    try:
        yield
    finally:
        done.set()
        other.join()


def test_bars_never_notice_that_folders_are_swapped(hours):
    with swapped_all_the_time(hours):
        for _ in range(60):
            assert hours.bars(["BTC-BRL", "ETH-BRL"], "1h").collect().height == 960


def test_questions_and_scans_never_notice_that_folders_are_swapped(hours):
    frame = hours.scan("bars").filter(pl.col("close") > 0)
    with swapped_all_the_time(hours):
        for _ in range(60):
            assert hours.sql("select count(*) from bars").item() == 960
            assert frame.collect().height == 960


def failing(path: object, times: int) -> object:
    """A piece of work that meets a vanished file so many times."""
    left = [times]

    def work() -> str:
        if left[0]:
            left[0] -= 1
            raise duckdb.IOException(f'IO Error: Cannot open file "{path}": No such file')
        return "answer"

    return work


def test_a_vanished_file_is_looked_for_again_and_one_that_is_there_is_not(tmp_path):
    gone, there = tmp_path / "gone.parquet", tmp_path / "there.parquet"
    there.touch()
    assert scan.patiently(tmp_path, failing(gone, 3)) == "answer"
    with pytest.raises(duckdb.IOException):
        scan.patiently(tmp_path, failing(there, 1))
    with pytest.raises(DataError, match="vanished 50 times"):
        scan.patiently(tmp_path, failing(gone, 51))


def test_only_what_is_asked_for_comes_out_of_the_database(hours, monkeypatch):
    asked = []
    monkeypatch.setattr(scan, "_polars", lambda one: asked.append(one) or pl.from_arrow(one))
    near = pl.col("close").is_between(110, 119) | pl.col("open").is_null()
    rows = hours.scan("bars").filter(pl.col("symbol").is_in(["ETH-BRL"]), near)
    assert rows.select("ts").collect().height == 20
    assert sum(one.num_rows for one in asked) == 20
    assert {*asked[0].schema.names} == {"ts", "symbol", "close", "open"}
    asked.clear()
    assert hours.scan("bars").head(7).collect().height == 7
    assert sum(one.num_rows for one in asked) == 7


def test_a_filter_that_sql_has_not_is_done_by_polars(hours):
    rows = hours.scan("bars").filter(pl.col("symbol").str.ends_with("H-BRL"), pl.col("close") > 200)
    expected = hours.bars("ETH-BRL", "1h").filter(pl.col("close") > 200).select("ts", "close")
    assert_frame_equal(rows.select("ts", "close").sort("ts").collect(), expected.collect())
    assert rows.select("volume").head(3).collect().shape == (3, 1)
    assert rows.select(pl.len()).collect().item() == expected.collect().height


def test_damage_met_while_rows_come_is_named(hours, monkeypatch):
    monkeypatch.setattr(scan, "CHUNK", 10)
    monkeypatch.setattr(scan, "HELD", 10)
    frame = hours.scan("bars")
    path = hours.files("ETH-BRL", "1h")[1]
    os.truncate(path, path.stat().st_size - 9)
    with pytest.raises(Unreadable, match=path.name):
        frame.collect()
