"""Files that are not what they were are found, named, and told from those that are."""

import json
import os
import random

import polars as pl
import pyarrow.parquet as pq
import pytest

from cq.errors import Unreadable
from cq.lake import Lake
from cq.lake.datasets import OHLCV
from cq.lake.quality import run_checks
from cq.lake.quarantine import quarantine
from cq.lake.verified import STATE
from cq.lake.verify import changed, verify


def files(lake: Lake, dataset: str = "ohlcv") -> list:
    return [part.path for part in lake.layouts[dataset].files(lake.root)]


@pytest.fixture
def full(lake, bars):
    """Three symbols in two years each."""
    for symbol in ("BTC-BRL", "ETH-BRL", "SOL-BRL"):
        for since in ("2023-01-01", "2024-01-01"):
            lake.write("ohlcv", bars(300, symbol, since=since), source="t", now_ns=1)
    return lake


def flipped(path, at, bit=0):
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def only(found):
    (one,) = found.damaged
    return one


def test_a_whole_lake_has_no_damage_and_every_file_is_looked_at(full):
    found = verify(full)
    anchors = len(full.layouts)
    assert found.damaged == ()
    assert (found.files, found.foreign) == (6 + anchors, 0)
    assert found.bytes >= sum(path.stat().st_size for path in files(full))


@pytest.mark.parametrize("place", ["first magic", "data", "footer", "footer length", "last magic"])
def test_a_flipped_bit_anywhere_is_found(full, place):
    path = files(full)[2]
    size = path.stat().st_size
    footer = size - 8 - int.from_bytes(path.read_bytes()[-8:-4], "little")
    at = {
        "first magic": 1,
        "data": footer // 2,
        "footer": (footer + size - 8) // 2,
        "footer length": size - 6,
        "last magic": size - 1,
    }[place]
    flipped(path, at)
    one = only(verify(full))
    assert (one.path, one.dataset, one.closed) == (path, "ohlcv", False)
    assert one.problem
    assert "\n" not in one.problem


def test_each_of_many_random_bits_is_found(full):
    path = files(full)[0]
    whole, chance = path.read_bytes(), random.Random(7)
    for _ in range(60):
        flipped(path, chance.randrange(len(whole)), chance.randrange(8))
        assert [one.path for one in verify(full, ["BTC-BRL"], ["ohlcv"]).damaged] == [path]
        path.write_bytes(whole)
    assert verify(full).damaged == ()


@pytest.mark.parametrize("size", [0, 3, 11, 900])
def test_a_file_that_was_cut_is_no_whole_parquet_file(full, size):
    path = files(full)[1]
    os.truncate(path, size)
    assert only(verify(full)).problem == "it is damaged, no whole Parquet file"


def test_a_file_with_the_bytes_of_another_is_found(full):
    first, second = files(full)[:2]
    first.write_bytes(second.read_bytes())
    one = only(verify(full))
    assert one.path == first
    assert "not those its name says" in one.problem


def test_a_right_file_in_a_wrong_folder_is_found(full):
    first, last = files(full)[0], files(full)[-1]
    strange = last.parent / first.name
    first.rename(strange)
    one = only(verify(full))
    assert one.path == strange
    assert one.problem == "it holds symbol BTC-BRL, its folder is of SOL-BRL"
    late = files(full)[0]
    early = late.parent.with_name("year=2019")
    early.mkdir()
    strange.rename(first)
    late.rename(early / late.name)
    assert "year=2019" in only(verify(full)).problem


def test_a_foreign_file_is_counted_and_has_to_be_of_its_dataset(full):
    folder = files(full)[0].parent
    pl.read_parquet(files(full)[0], hive_partitioning=False).write_parquet(folder / "mine.parquet")
    assert (verify(full).foreign, verify(full).damaged) == (1, ())
    (folder / "mine.parquet").write_bytes(b"PAR1" + b"x" * 50 + b"PAR1")
    assert only(verify(full)).path == folder / "mine.parquet"
    (folder / "mine.parquet").write_text("ts;open;high")
    assert only(verify(full)).path == folder / "mine.parquet"
    pl.DataFrame({"ts": ["monday"]}).write_parquet(folder / "mine.parquet")
    assert only(verify(full)).path == folder / "mine.parquet"


@pytest.mark.parametrize("absent", [["volume"], ["ts", "close"]])
def test_a_foreign_file_that_lacks_a_column_is_damaged_and_quarantine_is_the_way_out(full, absent):
    whole = files(full)[0]
    mine = whole.parent / "mine.parquet"
    pl.read_parquet(whole, hive_partitioning=False).drop(absent).write_parquet(mine)
    one = only(verify(full))
    assert (one.path, one.problem) == (mine, f"it lacks {', '.join(absent)}, which ohlcv has")
    with pytest.raises(Unreadable, match=f"it lacks {absent[0]}"):
        run_checks(full, now_ns=2)
    with pytest.raises(Unreadable, match=f'it lacks "{absent[0]}", which other files have'):
        full.sql(f"select {absent[0]} from bars")
    (found,) = run_checks(full, now_ns=2, only=["wrong_schema"]).checks
    assert found.rows == len(absent)
    assert all(str(mine) in each["detail"] for each in found.examples)
    quarantine(full, [one], now_ns=2)
    assert not mine.exists()
    assert verify(full).damaged == ()
    run_checks(full, now_ns=2)


def test_a_foreign_trade_file_without_sides_is_damaged_since_sql_cannot_read_it(full):
    ids = {"ts": [5], "price": [1.0], "size": [1.0], "side": ["buy"], "trade_id": ["1"]}
    trades = pl.DataFrame(ids).with_columns(symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"))
    full.write("trades", trades, source="t", now_ns=1)
    trades.drop("side").write_parquet(files(full, "trades")[0].parent / "mine.parquet")
    assert only(verify(full)).problem == "it lacks side, which trades has"


def test_what_the_folders_of_a_foreign_file_say_its_rows_need_not(full):
    rows = pl.read_parquet(files(full)[0], hive_partitioning=False)
    mine = files(full)[0].parent / "mine.parquet"
    rows.drop("symbol", "exchange", "interval").write_parquet(mine)
    assert verify(full).damaged == ()


def test_a_damaged_empty_file_that_views_bind_to_is_found(full):
    anchor = full.root / full.layouts["trades"].anchor()
    os.truncate(anchor, 20)
    assert only(verify(full)).path == anchor


def test_symbols_and_datasets_narrow_what_is_looked_at(full):
    os.truncate(files(full)[0], 10)
    assert verify(full, ["ETH-BRL"]).files == 2
    assert verify(full, ["ETH-BRL"]).damaged == ()
    assert verify(full, [], ["trades"]).damaged == ()
    assert len(verify(full, ["BTC-BRL", "SOL-BRL"], ["ohlcv", "trades"]).damaged) == 1


def test_a_file_that_may_not_be_read_is_closed_not_damaged(full, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("cq.lake.damage.digest", denied)
    found = verify(full).damaged
    assert {(one.problem, one.closed) for one in found} == {("Permission denied", True)}


def test_what_changed_since_it_was_verified_is_looked_at_again_and_nothing_else(full, monkeypatch):
    verify(full)
    path = files(full)[3]
    flipped(path, 500)
    looked = []
    from cq.lake import damage as module

    real = module.digest
    monkeypatch.setattr(module, "digest", lambda one: looked.append(one) or real(one))
    assert [one.path for one in changed(full)] == [path]
    assert looked == [path]
    assert [one.path for one in changed(full)] == [path]
    flipped(path, 500)
    assert changed(full) == []
    assert changed(full) == []
    assert len(looked) == 3


@pytest.mark.parametrize("text", ["", "[]", '{"files": {"a": 1}}', '{"files": {"a": [1]}}', "\x00"])
def test_a_record_that_cannot_be_read_is_made_again(full, text):
    (full.root / STATE).write_text(text)
    assert changed(full) == []
    assert len(json.loads((full.root / STATE).read_text())["files"]) == 6 + len(full.layouts)


def test_checks_do_not_run_over_a_file_that_changed_since_it_was_verified(full):
    assert run_checks(full, now_ns=1).checks
    path = files(full)[0]
    flipped(path, 500)
    with pytest.raises(Unreadable, match="--quarantine") as caught:
        run_checks(full, now_ns=1)
    assert caught.value.path == path


def test_flipped_bits_in_pages_are_values_to_every_reader_but_not_to_checksums(lake, bars):
    """Why files are hashed, and why only pages with a checksum are saved from a damaged one."""
    lake.write("ohlcv", bars(3000), source="t", now_ns=1)
    (path,) = files(lake)
    whole, right = path.read_bytes(), pl.read_parquet(path, hive_partitioning=False)
    wrong, chance = 0, random.Random(1)
    pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for _ in range(40):
        flipped(path, chance.randrange(4, pages), chance.randrange(8))
        try:
            read = pl.from_arrow(pq.read_table(path))
        except (OSError, ValueError):
            pass
        else:
            wrong += not read.equals(right)
        try:
            proven = pl.from_arrow(pq.read_table(path, page_checksum_verification=True))
        except (OSError, ValueError):
            pass
        else:
            assert proven.equals(right)  # the bit is one that no value depends on
        path.write_bytes(whole)
    assert wrong
    assert set(right.columns) == set(OHLCV.schema)
