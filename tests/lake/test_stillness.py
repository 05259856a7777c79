"""Questions hold the lake still; whoever changes folders waits for them, and they for a moment."""

import subprocess
import sys
import threading
import time

import pytest

from cq.errors import LakeBusy
from cq.lake import landing, parquet, swap
from cq.lake.stillness import GATE, LOCK, changing, still


@pytest.fixture
def root(tmp_path):
    (tmp_path / ".locks").mkdir()
    return tmp_path


def test_many_may_ask_at_once_and_none_of_them_waits(root):
    with still(root), still(root), still(root):
        pass


def test_who_changes_waits_until_nobody_asks(root):
    order = []

    def change() -> None:
        with changing(root, "a folder", 30):
            order.append("changed")

    other = threading.Thread(target=change)
    with still(root):
        other.start()
        other.join(0.3)
        order.append("asked")
    other.join()
    assert order == ["asked", "changed"]


def test_who_asks_waits_until_the_change_is_made(root):
    order = []

    def ask() -> None:
        with still(root):
            order.append("asked")

    other = threading.Thread(target=ask)
    with changing(root, "a folder", 1):
        other.start()
        other.join(0.2)
        order.append("changed")
    other.join()
    assert order == ["changed", "asked"]


def test_a_change_that_waits_lets_questions_go_first(root):
    answered = threading.Event()

    def ask() -> None:
        while not answered.is_set():
            with still(root):
                answered.set()

    with still(root):
        changes = threading.Thread(target=refused, args=(root, 0.5))
        changes.start()
        time.sleep(0.02)  # the gate is closed by now
        asks = threading.Thread(target=ask)
        asks.start()
        asks.join(10)
        assert answered.is_set()
        changes.join()


def enter(root, wait_s):
    with changing(root, "a folder", wait_s):
        pass


def refused(root, wait_s):
    with pytest.raises(LakeBusy):
        enter(root, wait_s)


def test_a_change_that_is_never_let_in_says_who_is_in_the_way(root):
    with still(root), pytest.raises(LakeBusy, match="a folder is being read by questions that"):
        enter(root, 0)
    enter(root, 0)


def test_a_change_comes_in_between_questions_that_follow_each_other_without_a_pause(root):
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            with still(root):
                time.sleep(0.002)

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for one in askers:
        one.start()
    try:
        for _ in range(20):
            enter(root, 30)
    finally:
        done.set()
        for one in askers:
            one.join()


def test_a_killed_process_holds_nothing(root):
    code = (
        "import sys, pathlib, time\nfrom cq.lake.stillness import changing\n"
        "with changing(pathlib.Path(sys.argv[1]), 'x', 1):\n    print('in', flush=True)\n"
        "    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, root], stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"in\n"
        other.kill()
    with still(root):
        pass
    enter(root, 0)


def test_reading_makes_no_lock_where_nothing_was_ever_written(tmp_path):
    with still(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_who_may_not_write_the_locks_holds_them_all_the_same(root):
    enter(root, 0)
    for name in (GATE, LOCK):
        (root / ".locks" / name).chmod(0o444)
    with still(root), pytest.raises(LakeBusy):
        enter(root, 0)


def test_a_compacted_folder_waits_for_questions_and_links_nothing_twice(lake, bars):
    for since in ("2024-01-01", "2024-01-03"):
        lake.write("ohlcv", bars(24, since=since), source="t", now_ns=1)
    (folder,) = {one.path.parent for one in lake.layouts["ohlcv"].files(lake.root)}
    (first, *_) = found = swap.listing(folder)
    with swap.bench(lake.root) as bench:
        place = bench.place()
        (place.content / "file-000000-000000000000.parquet").write_bytes(
            (folder / first).read_bytes()
        )
        with still(lake.root), pytest.raises(LakeBusy):
            bench.exchanged(place, folder, {first: found[first]}, 0)
        assert swap.listing(folder).keys() == found.keys()
        assert bench.exchanged(place, folder, {first: found[first]}, 0)
    assert len(swap.listing(folder)) == len(found)
    assert lake.sql("select count(*) from bars").item() == 48


def test_rows_of_two_years_appear_in_one_step(lake, bars, monkeypatch):
    """A question that begins between the two files waits until both are there."""
    lake.write("ohlcv", bars(1, since="2023-06-01"), source="t", now_ns=1)
    seen: list[int] = []
    asks = threading.Thread(
        target=lambda: seen.append(lake.sql("select count(*) from bars").item())
    )
    appear = parquet.Ready.appear

    def slowly(one) -> None:
        appear(one)
        if not asks.ident:
            asks.start()
            asks.join(0.5)

    monkeypatch.setattr(parquet.Ready, "appear", slowly)
    lake.write("ohlcv", bars(48, since="2023-12-31"), source="t", now_ns=1)
    asks.join()
    assert seen == [49]


def test_rows_of_two_years_land_even_while_somebody_asks_all_the_time(lake, bars, monkeypatch):
    monkeypatch.setattr(landing, "AT_ONCE_S", 0)
    lake.prepare()
    (lake.root / ".locks").mkdir(exist_ok=True)
    with still(lake.root):
        assert lake.write("ohlcv", bars(48, since="2023-12-31"), source="t", now_ns=1).landed == 48


def test_of_rows_of_two_years_none_stays_half_written_where_one_cannot_appear(
    lake, bars, monkeypatch
):
    appear = parquet.Ready.appear

    def failing(one) -> None:
        if "2024" in str(one.target):
            raise OSError("no")
        appear(one)

    monkeypatch.setattr(parquet.Ready, "appear", failing)
    with pytest.raises(OSError, match="no"):
        lake.write("ohlcv", bars(48, since="2023-12-31"), source="t", now_ns=1)
    assert list(lake.root.rglob("*.tmp")) == []
    assert lake.bars("BTC-BRL", "1h").collect().height == 24
