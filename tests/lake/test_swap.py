"""A folder's content changes in one step, whatever else happens to the folder."""

import errno
import json
import os
import signal
from pathlib import Path

import pytest
from doors import counted, refusing, watched

from cq.errors import LakeUnwritable
from cq.lake import disk, locks, swap

pytestmark = pytest.mark.usefixtures("nothing_lingers")


class Killed(BaseException):
    """What stands for kill -9 inside a test: nothing after it happens."""


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A folder with two files to be replaced, one that stays, and one of somebody else."""
    folder = tmp_path / "ohlcv" / "symbol=A-B"
    folder.mkdir(parents=True)
    for name in ("old-1", "old-2", "kept", "theirs.csv"):
        (folder / name).write_text(name)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in folder.iterdir()}


OLD = {name: name for name in ("old-1", "old-2", "kept", "theirs.csv")}
NEW = {name: name for name in ("new", "kept", "theirs.csv")}


def inputs(live: Path) -> dict[str, swap.Stamp]:
    return {name: one for name, one in swap.listing(live).items() if name.startswith("old")}


def prepare(bench: swap.Bench) -> swap.Place:
    place = bench.place()
    with disk.writing(bench.root), disk.create(place.content / "new") as file:
        disk.append(file, b"new")
    return place


def change(root: Path, live: Path) -> bool:
    with swap.bench(root) as bench:
        return bench.exchanged(prepare(bench), live, inputs(live))


def left(root: Path) -> list[Path]:
    return list((root / swap.WORK).rglob("*"))


def test_new_content_takes_the_place_of_the_old_and_all_else_stays(tmp_path, live):
    kept = (live / "kept").stat().st_ino
    assert change(tmp_path, live)
    assert content(live) == NEW
    assert (live / "kept").stat().st_ino == kept
    assert left(tmp_path) == []
    assert list((tmp_path / locks.LOCKS).glob("*.lock")) == []


def test_the_folder_is_open_to_whom_it_was(tmp_path, live):
    live.chmod(0o2750)
    change(tmp_path, live)
    assert live.stat().st_mode & 0o7777 == 0o2750


@pytest.mark.parametrize("how", ["changed", "gone", "another"])
def test_an_input_that_is_no_longer_the_same_stops_the_change(tmp_path, live, how):
    with swap.bench(tmp_path) as bench:
        place, seen = prepare(bench), inputs(live)
        if how == "changed":
            (live / "old-1").write_text("longer")
        else:
            (live / "old-1").unlink()
        if how == "another":
            (live / "old-1").write_text("old-1")
            os.utime(live / "old-1", ns=(1, 1))
        before = content(live)
        assert not bench.exchanged(place, live, seen)
    assert content(live) == before
    assert left(tmp_path) == []


def test_what_arrived_after_the_inputs_were_looked_at_is_there_afterwards(tmp_path, live):
    with swap.bench(tmp_path) as bench:
        place, seen = prepare(bench), inputs(live)
        (live / "arrived").write_text("arrived")
        assert bench.exchanged(place, live, seen)
    assert content(live) == NEW | {"arrived": "arrived"}


@pytest.mark.parametrize("name", ["late", "new"])
def test_what_arrives_between_listing_and_exchange_comes_back(tmp_path, live, name):
    """A file of a taken name is the older of two: it gives way as if it had been overwritten."""

    def passing(_: int, door: str, when: str) -> None:
        if (door, when) == ("exchange", "before"):
            (live / name).write_text("late")

    with watched(passing):
        assert change(tmp_path, live)
    assert content(live) == {"late": "late"} | NEW if name == "late" else NEW


def test_a_folder_that_arrives_between_listing_and_exchange_comes_back(tmp_path, live):
    def passing(_: int, door: str, when: str) -> None:
        if (door, when) == ("exchange", "before"):
            (live / "inner").mkdir()
            (live / "inner" / "a").write_text("a")

    with watched(passing):
        assert change(tmp_path, live)
    assert content(live / "inner") == {"a": "a"}


def test_what_dead_writers_left_half_written_goes(tmp_path, live):
    (live / "file-1.2.3.parquet.tmp").touch()
    (live / "theirs.parquet.tmp").touch()
    change(tmp_path, live)
    assert content(live).keys() == NEW.keys() | {"theirs.parquet.tmp"}


def test_a_prepared_name_that_is_taken_stops_the_change(tmp_path, live):
    (live / "new").write_text("theirs")
    assert not change(tmp_path, live)
    assert content(live) == OLD | {"new": "theirs"}


def test_a_folder_with_a_folder_inside_and_a_linked_one_are_left_alone(tmp_path, live):
    elsewhere = live.rename(tmp_path / "elsewhere")
    live.symlink_to(elsewhere)
    assert not change(tmp_path, live)
    live.unlink()
    elsewhere.rename(live)
    (live / "inner").mkdir()
    assert not change(tmp_path, live)


def test_where_folders_cannot_be_exchanged_nothing_changes(tmp_path, live, monkeypatch):
    monkeypatch.setattr(disk, "_exchanger", lambda: (None, None))
    with pytest.raises(LakeUnwritable, match="cannot exchange two folders"):
        change(tmp_path, live)
    assert content(live) == OLD
    assert left(tmp_path) == []


def calls_of_a_change(tmp_path: Path, live: Path) -> list[str]:
    """The doors of a change; the folder is as it was afterwards."""
    calls = counted(lambda: change(tmp_path, live))
    restore(live)
    return calls


def restore(live: Path) -> None:
    (live / "new").unlink()
    for name in ("old-1", "old-2"):
        (live / name).write_text(name)


def test_whatever_call_is_refused_the_folder_is_old_or_new_and_the_next_try_completes(
    tmp_path, live
):
    for number, door in enumerate(calls_of_a_change(tmp_path, live)):
        said = ""
        with refusing(number, errno.EIO):
            try:
                change(tmp_path, live)
            except LakeUnwritable as error:
                said = str(error)
        assert "Input/output error" in said if said else content(live) == NEW, (number, door)
        assert content(live) in (OLD, NEW), (number, door)
        swap.heal(tmp_path)
        assert left(tmp_path) == [], (number, door)
        completed(tmp_path, live)


def completed(root: Path, live: Path) -> None:
    """The same change again completes it; the folder is as it was afterwards."""
    if content(live) == OLD:
        assert change(root, live)
    assert content(live) == NEW
    restore(live)


def replaced_in(root: Path) -> Path | None:
    """The replaced folder that a killed change has left, if it had come so far."""
    plans = (root / swap.WORK).rglob(swap.PLAN)
    found = [plan.parent / swap.CONTENT for plan in plans]
    return next((one for one in found if (one / "old-1").exists()), None)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_whatever_call_the_folder_is_old_or_new_and_healing_leaves_nothing(
    tmp_path, live, when
):
    late = 0
    for number, door in enumerate(calls_of_a_change(tmp_path, live)):
        child = os.fork()
        if child == 0:
            with watched(deadly(number, when)):
                change(tmp_path, live)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        assert content(live) in (OLD, NEW), (number, door)
        if replaced := replaced_in(tmp_path):
            (replaced / "late").write_text("late")
        swap.heal(tmp_path)
        assert left(tmp_path) == [], (number, door)
        if replaced:
            assert (live / "late").read_text() == "late"
            (live / "late").unlink()
            late += 1
        completed(tmp_path, live)
    assert late > 2


def deadly(number: int, when: str):
    def passing(call: int, _: str, at: str) -> None:
        if (call, at) == (number, when):
            os.kill(os.getpid(), signal.SIGKILL)

    return passing


def test_the_work_of_a_living_process_is_left_alone(tmp_path, live):
    with swap.bench(tmp_path) as bench:
        place = prepare(bench)
        assert swap.heal(tmp_path) == 0
        assert place.content.exists()
    assert swap.heal(tmp_path) == 0


def test_healing_where_there_is_nothing_makes_nothing(tmp_path):
    assert swap.heal(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_plan_names_the_folder_relative_to_the_lake(tmp_path, live):
    seen = []

    def passing(_: int, door: str, when: str) -> None:
        if (door, when) == ("exchange", "before"):
            seen.append(json.loads(next((tmp_path / swap.WORK).rglob(swap.PLAN)).read_text()))

    with watched(passing):
        change(tmp_path, live)
    assert seen[0]["folder"] == "ohlcv/symbol=A-B"
    assert seen[0]["there"] == sorted(OLD)
