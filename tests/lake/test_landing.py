import errno
import os
import resource
import sys
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import LakeBusy, LakeUnwritable
from cq.lake import Lake, disk, landing
from cq.lake.judging import Owned
from cq.lake.landing import LITTLE, MANY
from cq.lake.locks import held

SYMBOLS = [f"{name}-BRL" for name in ("BTC", "ETH", "XRP", "SOL", "ADA")]


def put(lake: Lake, rows: pl.DataFrame, **more):
    return lake.write("ohlcv", rows, source="test", now_ns=1, **more)


def stored(lake: Lake) -> pl.DataFrame:
    return lake.sql("from raw.ohlcv order by symbol, ts")


def test_rows_of_many_symbols_land_alike_in_whatever_order_they_come(tmp_path, bars):
    apart = pl.concat([bars(7, symbol) for symbol in SYMBOLS])
    mixed = apart.sample(fraction=1, shuffle=True, seed=1)
    for name, rows in (("apart", apart), ("mixed", mixed)):
        assert put(Lake(tmp_path / name), rows).landed == 35
    assert_frame_equal(stored(Lake(tmp_path / "apart")), stored(Lake(tmp_path / "mixed")))
    for name in ("apart", "mixed"):
        files = (tmp_path / name / "ohlcv").rglob("file-*.parquet")
        assert len(list(files)) == len(SYMBOLS)


def test_a_batch_of_which_one_symbol_cannot_be_written_leaves_nothing(lake, bars, monkeypatch):
    lake.prepare()
    append = disk.append

    def full(file, content):
        if "SOL-BRL" in str(file.name):
            raise OSError(28, "No space left on device")
        append(file, content)

    monkeypatch.setattr(disk, "append", full)
    rows = pl.concat([bars(2, symbol) for symbol in SYMBOLS])
    with pytest.raises(LakeUnwritable, match="No space left"):
        put(lake, rows)
    assert not list(lake.root.rglob("*.tmp"))
    assert stored(lake).is_empty()
    monkeypatch.undo()
    assert put(lake, rows).landed == 10


@pytest.mark.parametrize(("door", "landed"), [("replace", 4), ("sync_folder", 50)])
def test_what_is_refused_for_the_fifth_of_fifty_folders_is_told_and_every_other_is_whole(
    lake, bars, monkeypatch, door, landed
):
    symbols = [f"A{number:02d}-BRL" for number in range(50)]
    rows = pl.concat([bars(1, symbol) for symbol in symbols])
    lake.prepare()
    real = getattr(disk, door)

    def refused(*paths):
        if "A04-BRL" in str(paths[0]):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(disk, door, refused)
        with pytest.raises(LakeUnwritable, match=r"symbol=A04-BRL.*Input/output"):
            put(lake, rows)
    assert not list(lake.root.rglob("*.tmp"))
    assert stored(lake)["symbol"].to_list() == symbols[:landed]
    assert put(lake, rows).landed == 50 - landed
    assert_frame_equal(stored(lake).drop("year"), rows)


def test_a_batch_waits_no_longer_in_all_than_it_may(lake, bars):
    lock = lake.root / ".locks/ohlcv-mercadobitcoin-ETH-BRL.lock"
    rows = pl.concat([bars(1, symbol) for symbol in SYMBOLS])
    with held(lock, "x", 0), pytest.raises(LakeBusy, match="ohlcv of ETH-BRL"):
        put(lake, rows, wait_s=0.05)
    assert stored(lake).is_empty()


def test_batches_that_name_the_same_symbols_in_other_orders_never_wait_in_a_ring(lake, bars):
    """Sixty batches by three writers; each takes several locks, and none gives up after 10 s."""
    lake.prepare()
    errors: list[BaseException] = []

    def writer(offset: int) -> None:
        order = SYMBOLS[offset:] + SYMBOLS[:offset]
        try:
            for number in range(20):
                start = f"2024-01-{1 + number:02d}"
                put(lake, pl.concat([bars(2, symbol, since=start) for symbol in order]))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=writer, args=(offset,)) for offset in (0, 2, 4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    assert stored(lake).height == 20 * 2 * len(SYMBOLS)


@given(st.lists(st.one_of(st.integers(1, 3), st.integers(1, LITTLE + 5)), max_size=200))
def test_groups_are_small_and_keep_everybody_in_order(heights):
    column = pl.repeat(0, LITTLE + 5, eager=True, dtype=pl.Int8).to_frame("x")
    owned = [Owned({"n": i}, column.head(height)) for i, height in enumerate(heights)]
    groups = landing._groups(owned)
    assert [one for group in groups for one in group] == owned
    rows = [sum(one.rows.height for one in group) for group in groups]
    assert all(len(group) == 1 or size <= LITTLE for group, size in zip(groups, rows, strict=True))
    assert all(len(group) <= MANY for group in groups)
    for group, size, after in zip(groups, rows, groups[1:], strict=False):
        assert len(group) == MANY or size + after[0].rows.height > LITTLE


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
def test_more_symbols_than_files_may_be_open_land(lake, bars):
    """Each lock is an open file; a process may have some hundred of them."""
    symbols = [f"A{number}-BRL" for number in range(300)]
    rows = bars(1).join(pl.DataFrame({"name": symbols}), how="cross")
    rows = rows.with_columns(symbol=pl.col("name")).drop("name")
    lake.prepare()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 100, before[1]))
    try:
        assert put(lake, rows).landed == 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
