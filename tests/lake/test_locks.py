import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from cq.errors import LakeBusy, LakeUnwritable
from cq.lake.layout import DEFAULT_PARTITIONS, Layout
from cq.lake.locks import held, of_folder, owner, tried


def test_a_lock_is_held_by_one_at_a_time_and_names_its_owner(tmp_path):
    path = tmp_path / "locks" / "one.lock"
    with held(path, "the thing", 0):
        assert owner(path) == f"process {os.getpid()}"
        with pytest.raises(LakeBusy, match=f"the thing is being written by process {os.getpid()}"):
            held(path, "the thing", 0).__enter__()
    with held(path, "the thing", 0):
        pass


def test_a_lock_waits_for_its_turn(tmp_path):
    path, taken, release = tmp_path / "one.lock", Event(), Event()

    def first():
        with held(path, "it", 0):
            taken.set()
            release.wait()

    thread = Thread(target=first)
    thread.start()
    taken.wait()
    Thread(target=release.set).start()
    with held(path, "it", 30):
        pass
    thread.join()


def test_a_lock_dies_with_its_owner(tmp_path):
    path = tmp_path / "one.lock"
    code = (
        "import os, sys; from pathlib import Path; from cq.lake.locks import held\n"
        "with held(Path(sys.argv[1]), 'it', 0): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert path.exists()
    with held(path, "it", 0):
        pass


def test_a_lock_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeUnwritable):
        held(tmp_path / "file" / "x.lock", "it", 0).__enter__()


def test_the_owner_of_an_empty_lock_file_is_somebody(tmp_path):
    (tmp_path / "x.lock").touch()
    assert owner(tmp_path / "x.lock") == "another process"


def test_a_lock_that_cannot_be_written_is_an_unwritable_lake(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LakeUnwritable, match="No space left"), held(tmp_path / "a.lock", "x", 0):
        pass


def test_a_lock_whose_file_was_removed_is_not_held_by_two(tmp_path, monkeypatch):
    """The file is removed between the moment it is opened and the moment it is locked."""
    path, real, opened = tmp_path / "one.lock", os.open, []

    def opening(*args: object) -> int:
        handle = real(*args)
        if not opened:
            path.unlink()
        opened.append(handle)
        return handle

    monkeypatch.setattr(os, "open", opening)
    with held(path, "it", 0):
        monkeypatch.undo()
        assert len(opened) == 2
        with pytest.raises(LakeBusy):
            held(path, "it", 0).__enter__()


def test_a_lock_is_tried_without_waiting(tmp_path):
    path = tmp_path / "one.lock"
    with tried(path) as first, tried(path) as second:
        assert (first, second) == (True, False)
    with tried(path) as again:
        assert again


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("ohlcv/exchange={exchange}/symbol={symbol}/interval={interval}/a.parquet", "-x-A-B"),
        ("ohlcv/{symbol}/year={YYYY}/file-{HHmmss}.parquet", "-A-B"),
        ("{dataset}/{exchange}/a.parquet", "-x"),
        ("ohlcv/all/a.parquet", ""),
    ],
)
def test_who_writes_the_same_folder_takes_the_same_lock(template, name):
    layout, owner = Layout("ohlcv", template), {"exchange": "x", "symbol": "A-B", "interval": "1h"}
    path = of_folder(Path("/lake"), layout, owner)
    assert path == Path(f"/lake/.locks/ohlcv{name}.lock")
    other = of_folder(Path("/lake"), layout, owner | {"interval": "1m"})
    assert path == other


def test_an_owner_whose_name_is_no_folders_name_takes_the_lock_of_the_folder_it_gets():
    layout = Layout("ohlcv", DEFAULT_PARTITIONS["ohlcv"])
    owners = [{"exchange": "x", "symbol": one, "interval": "1h"} for one in ("../up", "unknown")]
    assert len({of_folder(Path("/lake"), layout, one) for one in owners}) == 1
