"""Compaction changes files, never rows: whatever files there are, and whenever it ends."""

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from doors import Deadly, counted, refusing, watched
from dying import HOUR, MONTHLY, START, SYMBOLS, bars, compact, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import CompactionFailed, LakeBusy, LakeUnwritable
from cq.lake import Lake, compaction, locks, merging, parquet, swap
from cq.lake.damage import altered
from cq.lake.datasets import DATASETS, OHLCV
from cq.lake.merging import Merge, in_order
from cq.lake.origin import origin_of
from cq.lake.status import status

pytestmark = pytest.mark.usefixtures("nothing_lingers")

NOW = 1_800_000_000_000_000_000
KB = 1e-3


@pytest.fixture
def small(tmp_path: Path) -> Lake:
    """A lake of two months of bars in ten files, with a file of somebody else."""
    lake = Lake(tmp_path / "small", partitions={"ohlcv": MONTHLY})
    lake.prepare()
    for first in range(0, 1000, 200):
        write(str(lake.root), first, 200)
    theirs = bars(2000, 5).with_columns(volume=pl.lit(7.0))
    theirs.write_parquet(folders(lake)[0] / "theirs.parquet")
    return lake


def folders(lake: Lake) -> list[Path]:
    return [leaf.path for leaf in lake.layouts["ohlcv"].leaves(lake.root)]


def files(lake: Lake) -> dict[str, bytes]:
    """Every file that a glob finds, with its bytes."""
    found = (path for path in lake.root.glob("*/**/*.parquet") if path.name != "anchor.parquet")
    found = (path for path in found if swap.WORK not in path.parts)
    return {str(path.relative_to(lake.root)): path.read_bytes() for path in found}


def rows(lake: Lake, dataset: str = "ohlcv") -> pl.DataFrame:
    return lake.sql(f"select {', '.join(DATASETS[dataset].schema)} from raw.{dataset} order by all")


def globbed(lake: Lake) -> pl.DataFrame:
    """What somebody sees who knows nothing of cq."""
    glob = f"{lake.root}/ohlcv/*/*/*/*.parquet"
    names = ", ".join(OHLCV.schema)
    with duckdb.connect() as connection:
        query = f"select {names} from read_parquet('{glob}', union_by_name=true) order by all"
        return connection.sql(query).pl()


def left(lake: Lake) -> list[Path]:
    return list((lake.root / swap.WORK).rglob("*"))


def test_small_files_become_one_a_folder_with_the_same_rows(small):
    before = rows(small)
    done = compaction.compact(small)
    assert [(one.files_before, one.files_after) for one in done] == [(2, 1), (4, 1)]
    assert sum(one.rows for one in done) == before.height - 5
    assert_frame_equal(rows(small), before)
    assert all(len([p for p in one.iterdir() if compaction.is_ours(p.name)]) == 1
               for one in folders(small))  # fmt: skip
    assert left(small) == []


def test_a_second_run_does_nothing(small):
    compaction.compact(small)
    before = files(small)
    assert compaction.compact(small) == []
    assert files(small) == before


def test_the_file_of_somebody_else_stays_byte_for_byte(small):
    before = files(small)
    compaction.compact(small)
    theirs = [name for name in before if name.endswith("theirs.parquet")]
    assert {name: files(small)[name] for name in theirs} == {name: before[name] for name in theirs}


def test_a_dry_run_changes_nothing_and_says_the_same_folders(small):
    before = files(small)
    guessed = compaction.compact(small, dry_run=True)
    assert files(small) == before
    done = compaction.compact(small)
    assert [(one.folder, one.files_after, one.rows) for one in guessed] == [
        (one.folder, one.files_after, one.rows) for one in done
    ]


def test_files_are_named_by_their_content_and_written_like_any_other(small):
    compaction.compact(small)
    for path in (p for one in folders(small) for p in one.iterdir() if compaction.is_ours(p.name)):
        assert not altered(path)
        group = pq.read_metadata(path).row_group(0)
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(9)}
        assert "DELTA_BINARY_PACKED" in columns["ts"].encodings
        content = parquet.encoded(pl.read_parquet(path), required=OHLCV.required)
        alike = pq.ParquetFile(content).metadata.row_group(0)
        assert columns["close"].encodings == alike.column(4).encodings
        assert columns["symbol"].has_dictionary_page
        assert columns["ts"].statistics.has_min_max
        moment = pq.read_table(path)["ts"][0].as_py() // 10**9
        said = datetime.fromtimestamp(moment, UTC)
        assert path.name.startswith(f"file-{said:%H%M%S}-")
        assert pl.read_parquet_schema(path) == dict(OHLCV.schema)


def test_a_merged_file_names_every_source_of_its_rows(small):
    compaction.compact(small)
    said = [origin_of(p) for one in folders(small) for p in one.iterdir() if "theirs" not in p.name]
    assert {name for one in said for name in one.source.split("; ")} == {
        f"at {first}" for first in range(0, 1000, 200)
    }


def test_large_files_stay_and_new_ones_are_cut_at_the_upper_size(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 400)
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": "ohlcv/{symbol}/file-{HHmmss}.parquet"})
    noise = np.random.default_rng(1).random(4000)
    whole = bars(0, 4000).with_columns(volume=noise)
    for first in range(0, 4000, 50):
        lake.write("ohlcv", whole.slice(first, 50), source="t", now_ns=1)
    before = rows(lake)
    compaction.compact(lake, small_mb=10 * KB, large_mb=20 * KB)
    sizes = sorted(path.stat().st_size for path in folders(lake)[0].iterdir())
    assert len(sizes) > 2
    assert [one for one in sizes if one < 10_000][1:] == []
    assert all(one < 27_000 for one in sizes)  # the footer is not counted
    kept = files(lake)
    for first in (5000, 6000):
        lake.write("ohlcv", bars(first, 50), source="t", now_ns=1)
    assert compaction.compact(lake, small_mb=10 * KB, large_mb=20 * KB)
    assert sum(files(lake).get(name) == content for name, content in kept.items()) >= len(kept) - 1
    assert rows(lake).height == before.height + 100


def test_only_what_is_asked_for_is_merged(small):
    for first in (0, 100):
        write(str(small.root), first, 50, "ETH-BRL")
    assert compaction.compact(small, ["trades"]) == []
    done = compaction.compact(small, ["ohlcv"], ["ETH-BRL"])
    assert {one.owner["symbol"] for one in done} == {"ETH-BRL"}


def test_a_folder_that_does_not_tell_its_symbol_is_merged_for_each(tmp_path):
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": "ohlcv/year={YYYY}/file-{HHmmss}.parquet"})
    for first in (0, 100):
        lake.write("ohlcv", bars(first, 50), source="t", now_ns=1)
    before = rows(lake)
    (one,) = compaction.compact(lake, ["ohlcv"], ["ETH-BRL"])
    assert (one.files_before, one.files_after) == (2, 1)
    assert_frame_equal(rows(lake), before)


def test_a_folder_that_does_not_tell_its_exchange_keeps_a_file_for_each(tmp_path):
    template = "ohlcv/{symbol}/{interval}/{YYYY}/file-{HHmmss}.parquet"
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": template})
    for first in (0, 100):
        for exchange in ("here", "there"):
            some = bars(first, 50).with_columns(exchange=pl.lit(exchange))
            lake.write("ohlcv", some, source="t", now_ns=1)
    before, known = rows(lake), [(one.exchange, one.rows) for one in status(lake, 1)]
    (one,) = compaction.compact(lake)
    assert (one.files_before, one.files_after) == (4, 2)
    assert_frame_equal(rows(lake), before)
    assert [(one.exchange, one.rows) for one in status(lake, 1)] == known
    told = lake.sql("select exchange, rows from files where dataset = 'ohlcv' order by all")
    assert told.rows() == known
    assert compaction.compact(lake) == []


def test_a_file_of_several_exchanges_is_said_to_be_of_none(tmp_path):
    template = "ohlcv/{symbol}/{interval}/{YYYY}/file-{HHmmss}.parquet"
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": template})
    lake.write("ohlcv", bars(0, 50), source="t", now_ns=1)
    (path,) = lake.files("BTC-BRL", "1h")
    both = pl.concat([bars(0, 50), bars(0, 50).with_columns(exchange=pl.lit("there"))])
    path.unlink()
    parquet.place(parquet.encoded(both.sort("ts")), path.parent, "theirs.parquet")
    (one,) = status(lake, 1)
    assert (one.exchange, one.symbol, one.rows) == (None, "BTC-BRL", 100)
    told = lake.sql("select exchange, symbol, rows from files where dataset = 'ohlcv'").rows()
    assert told == [(None, "BTC-BRL", 100)]


def test_a_damaged_file_is_left_alone_and_named(small):
    path = min(folders(small)[1].iterdir())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = {one.folder: one for one in compaction.compact(small)}
    assert path.name in done[path.parent].left
    assert path.read_bytes() == content
    assert done[path.parent].files_after == 2


def test_what_is_written_meanwhile_is_there_afterwards(small):
    before, written = rows(small), []

    def passing(_: int, door: str, when: str) -> None:
        if (door, when) == ("sync_file", "before") and not written:
            written.append(door)
            write(str(small.root), 1000, 30)

    with watched(passing):
        compaction.compact(small)
    assert written
    assert rows(small).height == before.height + 30


def test_a_folder_whose_file_goes_meanwhile_is_begun_anew(small):
    first = next(one for one in sorted(folders(small)[1].iterdir()))
    gone = pl.read_parquet(first).height
    before = rows(small)

    def passing(_: int, door: str, when: str) -> None:
        if (door, when) == ("sync_file", "before"):
            first.unlink(missing_ok=True)

    with watched(passing):
        done = compaction.compact(small)
    assert not any(one.left for one in done)
    assert rows(small).height == before.height - gone


def test_two_compactions_at_once_are_refused_with_the_others_name(small):
    lock = small.root / ".locks" / "compaction.lock"
    said = f"is being compacted by process {os.getpid()}"
    with locks.held(lock, "it", 0), pytest.raises(LakeBusy, match=said):
        compaction.compact(small)


def test_a_folder_that_is_written_all_the_time_is_left_and_the_others_are_done(small):
    write(str(small.root), 0, 10, "ETH-BRL")
    write(str(small.root), 20, 10, "ETH-BRL")
    lock = locks.of_folder(small.root, small.layouts["ohlcv"], {"symbol": "ETH-BRL"})
    with locks.held(lock, "it", 0):
        done = compaction.compact(small, wait_s=1)
    assert [one.owner["symbol"] for one in done if one.left] == ["ETH-BRL"]
    assert len([one for one in done if not one.left]) == 2


def test_rows_that_differ_from_those_read_change_nothing(small, monkeypatch):
    numbers = iter(range(1000))
    monkeypatch.setattr(compaction, "fingerprint", lambda _: next(numbers))
    before = files(small)
    with pytest.raises(CompactionFailed, match="nothing was changed"):
        compaction.compact(small)
    assert files(small) == before
    assert left(small) == []


def books(first: int, count: int) -> pl.DataFrame:
    level = [{"price": 10.0 + i, "size": 1.0} for i in range(3)]
    return pl.DataFrame(
        {"ts": range(first, first + count), "bids": [[]] * count, "asks": [level] * count},
        schema_overrides={"bids": DATASETS["orderbook_l2"].schema["bids"]},
    ).with_columns(symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"))


def trades(first: int, count: int) -> pl.DataFrame:
    """Trades of which several fall on one moment, written newest first, so that files overlap."""
    ids = list(range(first, first + count))
    return pl.DataFrame({"ts": [one // 7 for one in ids], "trade_id": [str(one) for one in ids]})\
        .with_columns(price=pl.lit(1.0), size=pl.lit(1.0), side=pl.lit(None, pl.String),
                      symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"))  # fmt: skip


def test_every_dataset_is_merged_in_the_order_of_time_and_key(tmp_path):
    lake = Lake(tmp_path / "lake")
    for first in (40, 0, 80):
        lake.write("orderbook_l2", books(first, 30), source="t", now_ns=1)
        lake.write("trades", trades(first + 60, 35), source="t", now_ns=1)
        lake.write("ohlcv", bars(first, 3).with_columns(low=-1.0), source="t", now_ns=first)
        asked = pl.DataFrame({"start_ts": [first], "end_ts": [first + 9], "rows": [1]})
        lake.write("coverage", asked.with_columns(
            dataset=pl.lit("ohlcv"), symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"),
            asked_ts=pl.lit(5)), source="t", now_ns=1)  # fmt: skip
    names = ("orderbook_l2", "trades", "rejected", "coverage")
    before = {name: rows(lake, name) for name in names}
    done = compaction.compact(lake)
    assert {(one.dataset, one.files_before, one.files_after) for one in done} == {
        (name, 3, 1) for name in names
    }
    for name in names:
        assert_frame_equal(rows(lake, name), before[name])
        (part,) = lake.layouts[name].files(lake.root)
        merged = pl.read_parquet(part.path, hive_partitioning=False)
        assert_frame_equal(merged, in_order(merged, DATASETS[name]))
    ids = pl.read_parquet(lake.layouts["trades"].files(lake.root)[0].path)["trade_id"]
    assert ids.cast(pl.Int64).is_sorted()


def test_a_file_without_a_newer_column_gets_it_as_null(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.write("trades", trades(0, 5), source="t", now_ns=1)
    folder = lake.layouts["trades"].leaves(lake.root)[0].path
    older = trades(10, 5).select("ts", "price", "size", "trade_id", "symbol", "exchange")
    content = parquet.encoded(older)
    parquet.place(content, folder, f"file-000000-{parquet.digest(content)}.parquet")
    compaction.compact(lake)
    (merged,) = folder.iterdir()
    known = pl.read_parquet(merged, hive_partitioning=False)
    wanted = pl.concat([trades(0, 5), trades(10, 5)]).select(*DATASETS["trades"].schema)
    assert_frame_equal(known, wanted)


def test_a_value_that_an_older_file_lacks_is_lacking_in_the_merged_one(tmp_path):
    """What a dataset requires is required of a merged file only where all others say so."""
    lake = Lake(tmp_path / "lake")
    whole = trades(0, 10)
    lake.write("trades", whole.gather_every(2), source="t", now_ns=1)
    folder = lake.layouts["trades"].leaves(lake.root)[0].path
    older = whole.gather_every(2, 1).with_columns(
        size=pl.when(pl.col("ts") > whole["ts"][4]).then("size")
    )
    content = parquet.encoded(older, required={"ts", "price"})
    parquet.place(content, folder, f"file-000000-{parquet.digest(content)}.parquet")
    compaction.compact(lake)
    (merged,) = folder.iterdir()
    lacking = [ts for ts in older["ts"] if ts <= whole["ts"][4]]
    assert lacking
    known = pl.read_parquet(merged, hive_partitioning=False)
    assert known.filter(pl.col("size").is_null())["ts"].to_list() == lacking
    lake.write("trades", trades(10, 5), source="t", now_ns=1)
    compaction.compact(lake)
    (merged,) = folder.iterdir()
    assert pq.read_schema(merged).field("size").nullable
    assert not pq.read_schema(merged).field("price").nullable


def test_a_file_of_our_name_with_columns_of_its_own_is_left_alone(tmp_path):
    lake = Lake(tmp_path / "lake")
    for first in (0, 10):
        lake.write("trades", trades(first, 5), source="t", now_ns=1)
    folder = lake.layouts["trades"].leaves(lake.root)[0].path
    content = parquet.encoded(trades(20, 5).with_columns(more=pl.lit(1)))
    own = parquet.place(content, folder, f"file-000000-{parquet.digest(content)}.parquet")
    compaction.compact(lake)
    assert own.exists()
    assert len(list(folder.iterdir())) == 2


# -- any files ---------------------------------------------------------------------------------

LOTS = st.lists(
    st.tuples(st.lists(st.integers(0, 60), max_size=25), st.sampled_from(["ours", "theirs"])),
    max_size=6,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lots=LOTS, group=st.integers(1, 40), window=st.integers(1, 60), small=st.integers(1, 9))
def test_whatever_files_there_are_rows_stay_and_a_second_run_finds_nothing(
    tmp_path_factory, lots, group, window, small
):
    """Files of any rows, overlapping or equal, some of them somebody else's, in any order."""
    root = tmp_path_factory.mktemp("lakes")
    lake = Lake(root / "lake", partitions={"ohlcv": "ohlcv/{symbol}/file-{HHmmss}.parquet"})
    lake.prepare()
    whole = bars(0, 61)
    for number, (chosen, whose) in enumerate(lots):
        part = whole[sorted(chosen)]
        folder = lake.root / "ohlcv" / "BTC-BRL"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parquet, "ROW_GROUP", group)
            content = parquet.encoded(part, {"n": str(number)})
        ours = f"file-000000-{parquet.digest(content)}.parquet"
        parquet.place(content, folder, ours if whose == "ours" else f"theirs-{number}.parquet")
    before = rows(lake)
    foreign = {name: content for name, content in files(lake).items() if "theirs" in name}
    limits = {"small_mb": small * 4 * KB, "large_mb": small * 8 * KB}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROW_GROUP", group)
        patch.setattr(merging, "WINDOW_ROWS", window)
        patch.setattr(merging, "SAMPLED", 3)
        compaction.compact(lake, **limits)
        assert_frame_equal(rows(lake), before)
        assert {name: files(lake).get(name) for name in foreign} == foreign
        now = files(lake)
        assert [one for one in compaction.compact(lake, **limits) if not one.left] == []
    assert files(lake) == now
    assert not any(altered(lake.root / name) for name in now if "theirs" not in name)


@given(
    spans=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9), st.integers(1, 40)),
                   min_size=1, max_size=12),
    most=st.integers(1, 60),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_windows_hold_each_row_once_and_follow_each_other(spans, most):
    merge = Merge(OHLCV)
    pieces = [merging.Piece(Path(str(i)), 0, count, count, first, first + length)
              for i, (first, length, count) in enumerate(spans)]  # fmt: skip
    held = {one.path: np.linspace(one.first, one.last, one.rows).astype(int) for one in pieces}
    seen: dict[Path, list[int]] = {one.path: [] for one in pieces}
    until = -1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "WINDOW_ROWS", most)
        patch.setattr(merging, "SAMPLED", 1)
        patch.setattr(Merge, "_times", lambda _, piece: held[piece.path])
        for window in merge.windows(pieces):
            inside = {one.path: [int(t) for t in held[one.path]
                                 if window.start is None or window.start <= t < window.end]
                      for one in window.pieces}  # fmt: skip
            times = [t for some in inside.values() for t in some]
            for path, some in inside.items():
                seen[path] += some
            if times:
                assert min(times) > until
                until = max(times)
    assert {path: sorted(some) for path, some in seen.items()} == {
        path: [int(t) for t in some] for path, some in held.items()
    }


@given(st.permutations(range(20)))
@settings(max_examples=20, deadline=None)
def test_a_fingerprint_knows_rows_and_not_their_order(order):
    merge = Merge(DATASETS["trades"])
    table = merge.typed(trades(0, 20).select(*DATASETS["trades"].schema).to_arrow())
    other = table.take(list(order))
    halves = [merging.fingerprint(other.slice(0, 9)), merging.fingerprint(other.slice(9))]
    assert sum(halves) % (1 << 64) == merging.fingerprint(table)
    ids = table.column("trade_id").to_pylist()
    swapped = table.set_column(4, "trade_id", [[ids[1], ids[0], *ids[2:]]])
    assert merging.fingerprint(merge.typed(swapped)) == merging.fingerprint(table)  # equal rows
    moved = table.set_column(4, "trade_id", [[ids[-1], *ids[1:-1], ids[0]]])
    assert merging.fingerprint(merge.typed(moved)) != merging.fingerprint(table)


# -- ends of every kind ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deadly():
    process = Deadly(Path(__file__).parent.parent / "dying.py")
    yield process
    process.close()


def assert_every_row_once(
    lake: Lake, expected: pl.DataFrame, seen: set[frozenset[tuple[str, bytes]]]
) -> None:
    """Through cq and through plain DuckDB; the same files again are only looked at as files."""
    now = frozenset(files(lake).items())
    if now in seen:
        return
    seen.add(now)
    assert_frame_equal(rows(lake), expected)
    assert_frame_equal(globbed(lake), expected)
    times = lake.bars("BTC-BRL", "1h").collect()["ts"].to_list()
    assert times == sorted(expected["ts"])


def test_killed_at_whatever_door_every_row_is_there_once(tmp_path, deadly):
    """Before each call, and after each."""
    template, lake = tmp_path / "template", Lake(tmp_path / "lake", partitions={"ohlcv": MONTHLY})
    lake.prepare()
    for first in (20, 0, 10):
        write(str(lake.root), first, 15)
    bars(60, 5).write_parquet(folders(lake)[0] / "theirs.parquet")
    shutil.copytree(lake.root, template)
    expected = rows(lake)
    calls = counted(lambda: compact(str(lake.root)))
    assert {"create", "append", "sync_file", "link", "exchange", "remove", "replace"} <= set(calls)
    seen: set[frozenset[tuple[str, bytes]]] = set()
    for number, when in product(range(len(calls)), ("before", "after")):
        shutil.rmtree(lake.root)
        shutil.copytree(template, lake.root)
        assert deadly.run("compact", str(lake.root), door=number, when=when) == "killed"
        assert_every_row_once(lake, expected, seen)
        lake.heal()
        assert left(lake) == [], (number, when, calls[number])
        assert_every_row_once(lake, expected, seen)
    assert len(seen) == 2
    compact(str(lake.root))
    assert_every_row_once(lake, expected, seen)


def refusal(number: int, error: int, work: Callable[[], None]) -> str:
    """What the work says when the system refuses a call; nothing where it could do without."""
    with refusing(number, error):
        try:
            work()
        except LakeUnwritable as said:
            return str(said)
    return ""


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_whatever_call_the_system_refuses_one_line_says_so_and_the_next_run_completes(
    small, tmp_path, error
):
    template = tmp_path / "template"
    shutil.copytree(small.root, template)
    expected = rows(small)
    calls = counted(lambda: compact(str(small.root)))
    refused, seen = 0, set()
    tried = [n for n, door in enumerate(calls) if error != errno.EIO or door.startswith("sync")]
    for number in tried[:: {errno.ENOSPC: 2, errno.EIO: 1}.get(error, 9)]:
        shutil.rmtree(small.root)
        shutil.copytree(template, small.root)
        said = refusal(number, error, lambda: compact(str(small.root)))
        refused += said.count(os.strerror(error))
        assert "\n" not in said
        assert_every_row_once(small, expected, seen)
        small.heal()
        assert left(small) == [], (number, calls[number])
        compact(str(small.root))
        assert_every_row_once(small, expected, seen)
        assert compaction.compact(small) == []
    assert refused > 2


def test_killed_at_random_while_writing_and_compacting_nothing_is_lost_or_twice(tmp_path, deadly):
    """Each life goes through some doors, and then a few thousandths of a second further."""
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": MONTHLY})
    lake.prepare()
    chosen = np.random.default_rng(3)
    for number in range(50):
        doors, after_s = int(chosen.integers(20)), float(chosen.uniform(0, 0.01))
        life = ("churn", str(lake.root), number, 1000)
        assert deadly.run(*life, door=doors, when="after", soon_s=after_s) == "killed"
        if number % 6 == 0:
            assert_right(globbed(lake))
    assert_right(seen := globbed(lake))
    assert seen.height
    for symbol in SYMBOLS:
        write(str(lake.root), 0, 1000, symbol)
    lake.heal()
    compact(str(lake.root))
    assert left(lake) == []
    assert_right(globbed(lake))
    assert rows(lake).height == 2000


def assert_right(seen: pl.DataFrame) -> None:
    """No key twice, and each row as it was written."""
    assert seen.select("symbol", "ts").is_unique().all()
    hours = (seen["ts"] - START) // HOUR
    assert (seen["volume"] == hours.cast(pl.Float64)).all()
