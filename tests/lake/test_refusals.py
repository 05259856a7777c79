"""The system refuses one change of a write, whichever: one line says so, and nothing is torn."""

import errno
import os
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest
from doors import counted, refusing, watched
from dying import MONTHLY, bars
from polars.testing import assert_frame_equal

from cq.cli.main import run
from cq.errors import LakeUnwritable
from cq.lake import Lake, WriteReport, disk, landing
from cq.lake.damage import altered

SYMBOLS = ("BTC-BRL", "ETH-BRL")
FIRST = 380  # six hours before a month's end
GROWS = ("make_folder", "create", "append", "link", "sync_file", "sync_folder")
"""What a full disk refuses; removing and renaming go on."""
DUCKDB = duckdb.connect()


@pytest.fixture(autouse=True)
def _one_folder_after_the_other(monkeypatch):
    """So that a call has the same number in every run."""
    monkeypatch.setattr(landing, "WORKERS", 1)
    monkeypatch.setattr(landing, "WAITING", 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a few bars of both symbols and both months."""
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": MONTHLY})
    for symbol in SYMBOLS:
        lake.write("ohlcv", bars(FIRST + 3, 5, symbol), source="before", now_ns=1)
    return lake


def rows() -> pl.DataFrame:
    """Bars for two folders of each symbol, of which one breaks a rule."""
    both = pl.concat([bars(FIRST, 12, symbol) for symbol in SYMBOLS])
    odd = pl.int_range(pl.len()) == 1
    return both.with_columns(volume=pl.when(odd).then(-1.0).otherwise("volume"))


def put(lake: Lake) -> WriteReport:
    return lake.write("ohlcv", rows(), source="now", now_ns=2)


def globbed(root: Path) -> pl.DataFrame:
    """What plain SQL over the files shows."""
    if not list(root.glob("ohlcv/symbol=*-BRL/**/*.parquet")):
        return rows().clear()
    glob, names = f"{root}/ohlcv/symbol=*-BRL/**/*.parquet", ", ".join(rows().columns)
    return DUCKDB.sql(f"select {names} from read_parquet('{glob}') order by symbol, ts").pl()


def half_written(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.tmp") if path.is_file()]


def assert_nothing_torn(root: Path) -> None:
    """Files are whole, and hold nothing but rows that were handed in, each once."""
    found = [path for path in root.rglob("*.parquet") if path.name != "anchor.parquet"]
    assert not any(altered(path) for path in found)
    there = globbed(root)
    assert there.is_unique().all()
    assert there.join(rows(), on=there.columns, how="anti").is_empty()


def assert_completed(root: Path, before: int) -> None:
    """The same write lands what is missing, and then all is there, seen either way."""
    lake, missing = Lake(root, partitions={"ohlcv": MONTHLY}), 23 - before
    report = put(lake)
    assert (report.read, report.landed, report.rejected) == (24, missing, 1)
    wanted = rows().filter(pl.col("volume") >= 0).sort("symbol", "ts")
    assert_frame_equal(globbed(root), wanted)
    seen = lake.bars(list(SYMBOLS), "1h").collect()
    assert_frame_equal(seen, wanted.drop("interval"), check_column_order=False)
    assert len(lake.layouts["rejected"].files(root)) == 1


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_whatever_call_of_a_write_is_refused_one_line_says_so_and_the_same_write_completes_it(
    lake, tmp_path, error
):
    template = tmp_path / "template"
    shutil.copytree(lake.root, template)
    calls = counted(lambda: put(lake))
    assert calls.count("create") > 4
    tried = [n for n, door in enumerate(calls) if error != errno.EIO or door.startswith("sync")]
    for number in tried[:: {errno.ENOSPC: 1, errno.EIO: 1}.get(error, 5)]:
        shutil.rmtree(lake.root)
        shutil.copytree(template, lake.root)
        with refusing(number, error), pytest.raises(LakeUnwritable) as refused:
            put(lake)
        said = str(refused.value)
        assert os.strerror(error) in said, (number, calls[number])
        assert "\n" not in said
        assert_nothing_torn(lake.root)
        assert half_written(lake.root) == [], (number, calls[number])
        assert_completed(lake.root, globbed(lake.root).height)


def test_a_disk_that_stays_full_from_any_call_on_leaves_a_lake_that_the_same_write_completes(
    tmp_path,
):
    """From the very first write on, that of the empty files which views bind to among them."""
    calls = counted(lambda: put(Lake(tmp_path / "none", partitions={"ohlcv": MONTHLY})))
    grows = [number for number, door in enumerate(calls) if door in GROWS]
    for first in grows[:: len(grows) // 12]:
        root = tmp_path / f"{first}"

        def passing(number: int, door: str, when: str, first: int = first) -> None:
            if when == "before" and number >= first and door in GROWS:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with watched(passing), pytest.raises(LakeUnwritable, match="No space left on device"):
            put(Lake(root, partitions={"ohlcv": MONTHLY}))
        assert_nothing_torn(root)
        assert half_written(root) == []
        assert_completed(root, globbed(root).height)


def test_importing_into_a_full_disk_is_one_line_and_exit_code_3(tmp_path, monkeypatch, capsys):
    project, table = tmp_path / "project", tmp_path / "BTC-BRL.csv"
    assert run(["init", str(project)]) == 0
    capsys.readouterr()
    bars(FIRST, 12).select("ts", "open", "high", "low", "close", "volume").write_csv(table)
    words = ["--project", str(project), "lake", "import", str(table), "--dataset", "ohlcv"]
    words += ["--exchange", "x"]

    def full(file: object, content: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "append", full)
        assert run(words) == 3
    said = capsys.readouterr().err.strip()
    assert "No space left on device" in said
    assert "check its permissions and free space" in said
    assert len(said.splitlines()) == 1
    assert half_written(tmp_path) == []
    assert run(words) == 0
    assert "12" in capsys.readouterr().out
