"""Leftovers go, whatever is in use stays, and a kill loses nothing else."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from doors import counted, refusing, watched

from cq.cli.main import run
from cq.errors import ConfigError, LakeUnwritable
from cq.lake import Lake, locks, swap
from cq.lake.quarantine import quarantine
from cq.lake.vacuum import vacuum
from cq.lake.verify import verify
from cq.utils.time import DAY, parse_time

DEAD = 2**22 + 7
"""No process has such a number."""

LATER = parse_time("2100-01-01")


@pytest.fixture
def messy(lake, bars):
    return littered(lake, bars)


def littered(lake: Lake, bars) -> Lake:
    """A lake with some of every kind of leftover."""
    for symbol in ("BTC-BRL", "ETH-BRL"):
        lake.write("ohlcv", bars(300, symbol), source="t", now_ns=1)
    damaged = files(lake)[1]
    os.truncate(damaged, 30)
    quarantine(lake, verify(lake).damaged, now_ns=1)
    leaf = files(lake)[0].parent
    (leaf / f"file-000000-0.9.{DEAD}.parquet.tmp").write_text("half")
    (lake.root / f"lake.json.9.{DEAD}.tmp").write_text("half")
    bench = lake.root / swap.WORK / f"{DEAD}-0123456789ab" / "0" / swap.CONTENT
    bench.mkdir(parents=True)
    (bench / "some.parquet").write_text("work")
    (lake.root / "trades/exchange=x/symbol=A-B/year=2020/month=01").mkdir(parents=True)
    return lake


def files(lake: Lake) -> list:
    return [part.path for part in lake.layouts["ohlcv"].files(lake.root)]


def everything(lake: Lake) -> dict:
    return {p.relative_to(lake.root): p.stat().st_size for p in lake.root.rglob("*")}


def kinds(gone) -> dict:
    found: dict = {}
    for one in gone:
        found[one.kind] = found.get(one.kind, 0) + 1
    return found


def rows(lake: Lake) -> pl.DataFrame:
    return lake.bars("BTC-BRL", "1h").collect()


def test_each_kind_goes_and_nothing_else(messy):
    before = rows(messy)
    gone = vacuum(messy, now_ns=LATER)
    found = kinds(gone)
    assert found.pop("empty folder") == 3 + 6 + 4  # of the damaged file, of quarantine, of trades
    assert found == {"work": 1, "half written": 2, "quarantine": 1, "lock": 1}
    assert not (messy.root / "quarantine").exists()
    assert not (messy.root / swap.WORK).exists()
    assert not (messy.root / "trades/exchange=x").exists()
    assert not list(messy.root.rglob("*.tmp"))
    assert not list((messy.root / locks.LOCKS).glob("*.lock"))
    assert all((messy.root / one.anchor()).exists() for one in messy.layouts.values())
    assert rows(messy).equals(before)
    assert verify(messy).damaged == ()
    assert messy.sql("select count(*) from quarantine").item() == 1


def test_a_dry_run_says_the_same_and_changes_nothing(messy):
    before = everything(messy)
    said = vacuum(messy, now_ns=LATER, dry_run=True)
    assert everything(messy) == before
    assert vacuum(messy, now_ns=LATER) == said


def test_a_second_run_finds_nothing(messy):
    vacuum(messy, now_ns=LATER)
    assert vacuum(messy, now_ns=LATER) == []


def test_quarantine_is_kept_as_long_as_it_is_told(messy):
    moved = next((messy.root / "quarantine").rglob("*.parquet"))
    now = moved.stat().st_ctime_ns
    assert "quarantine" not in kinds(vacuum(messy, now_ns=LATER, quarantine_days=None))
    assert "quarantine" not in kinds(vacuum(messy, now_ns=now + DAY, quarantine_days=1))
    assert moved.exists()
    (one,) = (o for o in vacuum(messy, now_ns=now + DAY + 1, quarantine_days=1) if o.files)
    assert (one.kind, one.files, one.bytes) == ("quarantine", 1, 30)


def test_what_the_living_use_stays(messy):
    """Another process, which holds the locks of a folder, of a bench, and writes a file."""
    leaf = files(messy)[0].parent
    layout = messy.layouts["trades"]
    empty = messy.root / "trades/exchange=x/symbol=A-B/year=2020/month=01"
    lock = locks.of_folder(messy.root, layout, {"exchange": "x", "symbol": "A-B"})
    bench = messy.root / swap.WORK / f"{DEAD}-0123456789ab"
    held = [str(lock), str(messy.root / locks.LOCKS / f"work-{bench.name}.lock")]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, *held],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        process.stdout.readline()
        mine = leaf / f"file-000000-0.9.{process.pid}.parquet.tmp"
        mine.write_text("being written")
        gone = vacuum(messy, now_ns=LATER)
        assert mine.exists()
        assert empty.exists()
        assert bench.exists()
        assert all(Path(path).exists() for path in held)
        assert "work" not in kinds(gone)
        process.communicate("")
    kept = kinds(vacuum(messy, now_ns=LATER))
    assert kept == {"work": 1, "half written": 1, "empty folder": 4, "lock": 1}


HOLDING = """
import fcntl, os, sys
for path in sys.argv[1:]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_folders_and_files_of_other_people_stay(messy):
    theirs = messy.root / "ohlcv/notes/empty"
    theirs.mkdir(parents=True)
    (messy.root / "ohlcv/notes/draft.tmp").write_text("theirs")
    vacuum(messy, now_ns=LATER)
    assert theirs.exists()
    assert (messy.root / "ohlcv/notes/draft.tmp").exists()


def test_killed_at_whatever_door_the_next_run_completes_it(tmp_path, bars):
    class Killed(BaseException):
        pass

    origin = littered(Lake(tmp_path / "origin"), bars)

    def made(number: int) -> Lake:
        shutil.copytree(origin.root, tmp_path / str(number))
        return Lake(tmp_path / str(number))

    first = made(0)
    before = rows(first)
    calls = counted(lambda: vacuum(first, now_ns=LATER))
    clean = everything(first).keys()
    assert len(calls) > 10
    for number in range(len(calls)):
        lake = made(number + 1)

        def dying(call: int, _: str, when: str, number: int = number) -> None:
            if (call, when) == (number, "before"):
                raise Killed

        with pytest.raises(Killed), watched(dying):
            vacuum(lake, now_ns=LATER)
        assert rows(lake).equals(before)
        vacuum(lake, now_ns=LATER)
        assert everything(lake).keys() == clean
        assert rows(lake).equals(before)


def test_a_disk_that_refuses_is_one_clear_error(messy):
    with refusing(3, errno.EIO), pytest.raises(LakeUnwritable):
        vacuum(messy, now_ns=LATER)
    vacuum(messy, now_ns=LATER)
    assert vacuum(messy, now_ns=LATER) == []


def test_the_command_tells_what_went(messy, capsys, monkeypatch, tmp_path):
    project = tmp_path / "project"
    assert run(["init", str(project)]) == 0
    monkeypatch.chdir(project)
    capsys.readouterr()
    at = ["--set", f"data_root={messy.root}", "lake", "vacuum"]
    assert run([*at, "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["dry_run"] is True
    assert {one["kind"] for one in planned["removed"]} == {"half written", "empty folder", "lock"}
    assert run(at) == 0
    assert "half written" in capsys.readouterr().out
    assert run(at) == 0
    assert "nothing to remove" in capsys.readouterr().err


def books(day: str, symbol: str = "BTC-BRL") -> pl.DataFrame:
    side = pl.List(pl.Struct({"price": pl.Float64, "size": pl.Float64}))
    return pl.DataFrame(
        {
            "ts": [parse_time(day) + hour * DAY // 24 for hour in (1, 23)],
            "bids": [[{"price": 9.0, "size": 1.0}]] * 2,
            "asks": [[{"price": 10.0, "size": 1.0}]] * 2,
            "symbol": symbol,
            "exchange": "x",
        },
        schema_overrides={"bids": side, "asks": side},
    )


def days_of_books(lake: Lake) -> list[str]:
    return [str(ts)[:10] for ts in lake.sql("select time from orderbook_l2 order by ts")["time"]]


def test_old_order_books_go_by_whole_days_and_only_where_a_setting_says_so(lake, bars):
    for day in ("2024-01-01", "2024-01-02", "2024-01-03"):
        lake.write("orderbook_l2", books(day), source="t", now_ns=1)
    lake.write("ohlcv", bars(24), source="t", now_ns=1)
    now = parse_time("2024-01-12T12:00")
    theirs = lake.layouts["orderbook_l2"].files(lake.root)[0].path.with_name("theirs.parquet")
    books("2024-01-01").write_parquet(theirs)
    assert "order books" not in kinds(vacuum(lake, now_ns=now))
    told = kinds(vacuum(lake, now_ns=now, orderbook_days=9.5, dry_run=True))
    assert days_of_books(lake)[-1] == "2024-01-03"
    assert len(days_of_books(lake)) == 8
    assert kinds(vacuum(lake, now_ns=now, orderbook_days=9.5)) == told
    assert days_of_books(lake) == ["2024-01-01"] * 2 + ["2024-01-03"] * 2
    assert theirs.exists()
    assert lake.bars("BTC-BRL", "1h").collect().height == 24
    assert "order books" not in kinds(vacuum(lake, now_ns=now, orderbook_days=9.5))


def test_order_books_that_somebody_writes_stay_for_the_next_time(lake):
    lake.write("orderbook_l2", books("2024-01-01"), source="t", now_ns=1)
    owner = {"exchange": "x", "symbol": "BTC-BRL"}
    with locks.held(locks.of_folder(lake.root, lake.layouts["orderbook_l2"], owner), "books", 1):
        assert "order books" not in kinds(vacuum(lake, now_ns=LATER, orderbook_days=1))
    assert "order books" in kinds(vacuum(lake, now_ns=LATER, orderbook_days=1))


def test_order_books_without_calendar_folders_cannot_go_by_age(tmp_path):
    flat = {"orderbook_l2": "orderbook_l2/symbol={symbol}/file-{HHmmss}.parquet"}
    lake = Lake(tmp_path / "lake", partitions=flat)
    lake.write("orderbook_l2", books("2024-01-01"), source="t", now_ns=1)
    with pytest.raises(ConfigError, match=r"retention.orderbook_days.*needs calendar folders"):
        vacuum(lake, now_ns=LATER, orderbook_days=1)
