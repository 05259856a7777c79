import os
import subprocess
import sys
from threading import Event, Thread

import pytest

from cq.errors import LakeBusy, LakeUnwritable
from cq.lake.locks import held, owner


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
