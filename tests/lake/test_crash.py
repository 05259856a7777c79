"""What a process leaves behind that is killed while it writes."""

import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from cq.lake import Lake

ROWS = """
import polars as pl

def rows():
    hours = pl.int_range(4 * 24 * 31, eager=True)
    return pl.concat(
        pl.DataFrame({"ts": 1_700_000_000_000_000_000 // HOUR * HOUR + hours * HOUR}).with_columns(
            open=pl.lit(2.0), high=pl.lit(3.0), low=pl.lit(1.0), close=pl.lit(2.0),
            volume=pl.lit(1.0), symbol=pl.lit(symbol), exchange=pl.lit("x"), interval=pl.lit("1h"),
        )
        for symbol in ("BTC-BRL", "ETH-BRL", "SOL-BRL")
    )

HOUR = 3_600_000_000_000
"""

DIES = (
    ROWS
    + """
import os, signal, stat, sys, threading
from pathlib import Path
from cq.lake import Lake

root, where, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
calls, lock = [0], threading.Lock()

def deadly(real):
    def call(first, *more):
        if where != "renamed" and not stat.S_ISREG(os.fstat(first).st_mode):
            return real(first, *more)
        with lock:
            calls[0] += 1
            if calls[0] == nth:
                if where == "half":
                    os.ftruncate(first, os.fstat(first).st_size // 2)
                if where == "renamed":
                    real(first, *more)
                os.kill(os.getpid(), signal.SIGKILL)
        return real(first, *more)
    return call

if where == "renamed":
    Path.replace = deadly(Path.replace)
else:
    os.fsync = deadly(os.fsync)
Lake(root).write("ohlcv", rows(), source="test", now_ns=1)
"""
)

TELLS = (
    ROWS
    + """
import os, sys
from cq.lake import Lake, disk

def telling(real):
    def call(*args):
        os.write(1, b"file\\n")
        return real(*args)
    return call

disk.create, disk.replace = telling(disk.create), telling(disk.replace)
Lake(sys.argv[1]).write("ohlcv", rows(), source="test", now_ns=1)
"""
)

TEMPLATE = "ohlcv/symbol={symbol}/year={YYYY}/month={MM}/day={DD}/file-{HHmmss}.parquet"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": TEMPLATE})
    lake.prepare()
    return lake.root


def all_rows() -> pl.DataFrame:
    scope: dict = {}
    exec(ROWS, scope)
    return scope["rows"]()


def assert_whole_after_the_same_write(root: Path) -> None:
    for path in root.rglob("*.parquet"):
        pq.read_table(path)
    lake, rows = Lake(root), all_rows()
    before = lake.sql("select count(*), count(distinct (symbol, ts)) from raw.ohlcv").row(0)
    assert before[0] == before[1]
    report = lake.write("ohlcv", rows, source="test", now_ns=1)
    assert (report.landed, report.already_there) == (rows.height - before[0], before[0])
    wanted = rows.sort("symbol", "ts")["ts"].to_list()
    assert lake.sql("select ts from raw.ohlcv order by symbol, ts")["ts"].to_list() == wanted
    assert lake.bars(["BTC-BRL", "ETH-BRL", "SOL-BRL"], "1h").collect()["ts"].to_list() == wanted


@pytest.mark.parametrize(
    ("where", "nth"), [("half", 1), ("half", 31), ("synced", 40), ("renamed", 1), ("renamed", 77)]
)
def test_a_killed_write_shows_only_whole_files_and_the_same_write_completes_it(root, where, nth):
    done = subprocess.run([sys.executable, "-c", DIES, str(root), where, str(nth)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert_whole_after_the_same_write(root)


def test_what_a_killed_write_left_half_done_goes_with_the_next(root):
    subprocess.run([sys.executable, "-c", DIES, str(root), "half", "20"], check=False)
    assert list(root.rglob("*.tmp"))
    assert_whole_after_the_same_write(root)
    assert list(root.rglob("*.tmp")) == []


@pytest.mark.parametrize("files", [3, 150, 290, 590])
def test_a_write_killed_from_outside_is_completed_by_the_same_write(root, files):
    process = subprocess.Popen([sys.executable, "-c", TELLS, str(root)], stdout=subprocess.PIPE)
    assert process.stdout
    for _ in range(files):
        assert process.stdout.readline() == b"file\n"
    process.kill()
    process.communicate()
    assert_whole_after_the_same_write(root)
