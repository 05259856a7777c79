"""Many at one lake at once: writers, readers, compaction, and a person with `lake.db` open.

CQ_ROUNDS=400 makes it longer: `CQ_ROUNDS=400 python -m pytest tests/lake/test_concurrency.py`.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from concurrent_lake import BATCH, Readers, ours, rows, starts

from cq.lake import Lake

ROUNDS = int(os.environ.get("CQ_ROUNDS", "25"))
HELPER = Path(__file__).parent.parent / "concurrent_lake.py"
SHELL = Path(sys.executable).with_name("duckdb")


def other(lake: Lake, *words: object) -> subprocess.Popen:
    """Another process at work in the lake."""
    command = [sys.executable, str(HELPER), str(lake.root), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return said


@pytest.mark.parametrize("symbols", [("A-B", "A-B"), ("A-B", "C-D")])
def test_two_writers_land_every_row_once_whether_of_one_series_or_of_two(lake, symbols):
    lake.prepare()
    writers = [other(lake, "write", one, ROUNDS) for one in symbols]
    for one in writers:
        ended(one)
    for symbol in set(symbols):
        assert lake.bars(symbol, "1m").collect()["ts"].to_list() == starts(ROUNDS * BATCH)
    assert lake.sql("select count(*) from raw.ohlcv").item() == len(set(symbols)) * ROUNDS * BATCH
    assert lake.sql("select count(*) from rejected").item() == 0


def test_two_writers_who_disagree_keep_the_first_and_reject_the_second(lake):
    lake.prepare()
    writers = [other(lake, "write", "A-B", ROUNDS, volume) for volume in (1, 2)]
    for one in writers:
        ended(one)
    assert lake.bars("A-B", "1m").collect()["ts"].to_list() == starts(ROUNDS * BATCH)
    assert lake.sql("select count(*) from rejected").item() == ROUNDS * BATCH


def test_ten_readers_see_a_beginning_of_what_is_written_whatever_compaction_does(lake):
    lake.write("ohlcv", rows("A-B", 0), source="t", now_ns=1)
    others = other(lake, "read", 5)
    readers = Readers(lake, 5)
    stop = threading.Event()
    failed: list[BaseException] = []

    def compacting() -> None:
        try:
            while not stop.is_set():
                ours(lake)
        except BaseException as error:
            failed.append(error)

    compaction = threading.Thread(target=compacting)
    readers.start()
    compaction.start()
    ended(other(lake, "write", "A-B", ROUNDS))
    stop.set()
    compaction.join()
    readers.stop()
    (lake.root / "stop").touch()
    seen = int(ended(others).split()[-1])
    assert failed == []
    assert readers.failures == []
    assert readers.looks >= 15
    assert seen >= 15
    for found in (lake.bars("A-B", "1m").collect(), lake.scan("bars").sort("ts").collect()):
        assert found["ts"].to_list() == starts(ROUNDS * BATCH)


def test_a_person_with_lake_db_open_for_writing_disturbs_nobody(lake):
    lake.write("ohlcv", rows("A-B", 0), source="t", now_ns=1)
    assert lake.refresh_catalog()
    shell = subprocess.Popen(
        [SHELL, "-csv", "-noheader", str(lake.catalog)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert shell.stdin
    assert shell.stdout

    def answer(question: str) -> str:
        shell.stdin.write(question + "\n")
        shell.stdin.flush()
        return shell.stdout.readline().strip()

    assert answer("create table mine (a int); select count(*) from bars;") == str(BATCH)
    sql = lake.sql_root / "marts" / "mine_too.sql"
    sql.parent.mkdir(parents=True)
    sql.write_text("-- One row.\ncreate or replace view mine_too as select 1 as a")
    again = Lake(lake.root)
    assert again.refresh_catalog() is False
    for number in range(1, 4):
        again.write("ohlcv", rows("A-B", number), source="t", now_ns=1)
        ours(again)
        assert answer("select count(*) from bars;") == str((number + 1) * BATCH)
        assert again.sql("select count(*) from mine_too").item() == 1
        assert again.bars("A-B", "1m").collect().height == (number + 1) * BATCH
    shell.communicate(".exit\n")
    assert again.refresh_catalog() is True
