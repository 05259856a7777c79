"""Rows take the place of others: each key is there once, with its old or its new values."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from doors import Deadly, counted, refusing, watched
from dying import HOUR, MONTHLY, START, bars, compact, replace, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import CannotExchange, LakeBusy, LakeUnwritable, Unreadable
from cq.lake import Lake, disk, locks, swap
from cq.lake.datasets import OHLCV, REJECTED, TRADES
from cq.lake.origin import origin_of
from cq.lake.writer import WriteReport

pytestmark = pytest.mark.usefixtures("nothing_lingers")

NOW = 1_800_000_000_000_000_000
MEMORY = Path("/dev/shm")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two months of bars, 1000 in five files."""
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": MONTHLY})
    lake.prepare()
    for first in range(0, 1000, 200):
        write(str(lake.root), first, 200)
    return lake


def put(lake: Lake, rows: pl.DataFrame, dataset: str = "ohlcv") -> WriteReport:
    report = lake.replace(dataset, rows, source="better", now_ns=NOW)
    assert report.read == (report.landed + report.already_there + report.rejected + report.replaced)
    return report


def wholly(report: WriteReport) -> tuple[int, int, int, int]:
    return report.landed, report.already_there, report.rejected, report.replaced


def rows(lake: Lake, dataset: str = "ohlcv") -> pl.DataFrame:
    """What somebody sees who knows nothing of cq."""
    schema = {one.name: one.schema for one in (OHLCV, TRADES, REJECTED)}[dataset]
    found = lake.root.glob(f"{dataset}/**/*.parquet")
    frames = [pl.read_parquet(one, hive_partitioning=False).select(*schema) for one in found]
    return pl.concat([pl.DataFrame(schema=schema), *frames]).sort("ts", *schema)


def rejected(lake: Lake) -> list[tuple[int, list[str]]]:
    return rows(lake, "rejected").select("ts", "broken").rows()


def files(lake: Lake) -> dict[str, bytes]:
    found = (one for one in lake.root.glob("ohlcv/**/*.parquet") if one.name != "anchor.parquet")
    return {str(path.relative_to(lake.root)): path.read_bytes() for path in found}


def left(lake: Lake) -> list[Path]:
    return list((lake.root / swap.WORK).rglob("*"))


def test_rows_of_known_keys_take_their_places_and_new_ones_land(lake):
    before = rows(lake)
    new = bars(990, 20, price=3.0)
    assert wholly(put(lake, new)) == (10, 0, 0, 10)
    expected = pl.concat(
        [before.filter(pl.col("ts") < START + 990 * HOUR), new.select(before.columns)]
    )
    assert_frame_equal(rows(lake), expected.sort("ts"))
    assert left(lake) == []


def test_what_is_replaced_is_kept_in_rejected(lake):
    put(lake, bars(5, 2, price=3.0))
    assert rejected(lake) == [(START + n * HOUR, ["replaced"]) for n in (5, 6)]
    first = rows(lake, "rejected").row(0, named=True)
    kept = pl.DataFrame({"row": [first["row"]]}).select(
        pl.col("row").str.json_decode(pl.Struct(OHLCV.schema))
    ).unnest("row")  # fmt: skip
    assert_frame_equal(kept, bars(5, 1).select(kept.columns))
    assert first["source"] == "better"


def test_the_same_rows_again_change_nothing(lake):
    put(lake, bars(5, 2, price=3.0))
    before = files(lake), rejected(lake)
    assert wholly(put(lake, bars(5, 2, price=3.0))) == (0, 2, 0, 0)
    assert (files(lake), rejected(lake)) == before


def test_rows_there_and_back_again(lake):
    before = rows(lake)
    assert put(lake, bars(5, 2, price=3.0)).replaced == 2
    assert put(lake, bars(5, 2)).replaced == 2
    assert_frame_equal(rows(lake), before)
    assert len(rejected(lake)) == 4


def test_broken_rows_and_second_thoughts_are_rejected(lake):
    wrong = bars(5, 1).with_columns(low=-1.0)
    both = pl.concat([bars(6, 1, price=3.0), bars(6, 1, price=4.0), bars(6, 1, price=3.0), wrong])
    report = put(lake, both)
    assert wholly(report) == (0, 1, 2, 1)
    assert report.by_rule["same_key_other_values"] == 1
    assert rows(lake)["close"].to_list().count(3.0) == 1


def test_files_keep_their_origin_and_the_new_rows_tell_theirs(lake):
    untouched = {name for name in files(lake) if "month=12" in name}
    before = files(lake)
    put(lake, bars(10, 3, price=3.0))
    said = {str(origin.source) for name in files(lake) if (origin := origin_of(lake.root / name))}
    assert said == {*(f"at {first}" for first in range(0, 1000, 200)), "better"}
    assert {name: files(lake)[name] for name in untouched} == {n: before[n] for n in untouched}


def test_a_file_all_of_whose_rows_are_replaced_is_gone(tmp_path):
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": MONTHLY})
    lake.prepare()
    write(str(lake.root), 0, 5)
    (old,) = files(lake)
    assert put(lake, bars(0, 5, price=3.0)).replaced == 5
    (new,) = files(lake)
    assert new != old
    assert rows(lake)["close"].to_list() == [3.0] * 5


def test_a_row_in_a_file_of_somebody_else_stays_and_its_rival_is_rejected(lake):
    folder = (lake.root / next(iter(files(lake)))).parent
    theirs = folder / "theirs.parquet"
    bars(2000, 2).write_parquet(theirs)
    content = theirs.read_bytes()
    report = put(lake, pl.concat([bars(2000, 1, price=3.0), bars(0, 1, price=3.0)]))
    in_folder = lake.layouts["ohlcv"].folder({"symbol": "BTC-BRL"}, START + 2000 * HOUR)
    assert theirs.read_bytes() == content
    if lake.root / in_folder == folder:
        assert wholly(report) == (0, 0, 1, 1)


def trade(ts: int, price: float, number: str) -> pl.DataFrame:
    row = (ts, price, 1.0, "buy", number, "BTC-BRL", "x")
    return pl.DataFrame([row], schema=dict(TRADES.schema), orient="row")


def test_a_trade_is_replaced_where_its_new_time_lies_in_the_same_folder(tmp_path):
    lake = Lake(tmp_path / "lake")
    old = pl.concat([trade(START, 2.0, "1"), trade(START, 2.0, "2")])
    lake.write("trades", old, source="t", now_ns=1)
    far = START + 4000 * HOUR
    report = put(lake, pl.concat([trade(START + 1, 3.0, "1"), trade(far, 3.0, "2")]), "trades")
    assert wholly(report) == (0, 0, 1, 1)
    assert report.conflicts == 1
    expected = pl.concat([trade(START, 2.0, "2"), trade(START + 1, 3.0, "1")])
    assert_frame_equal(rows(lake, "trades"), expected)


def test_exchanges_that_share_a_folder_keep_their_rows(tmp_path):
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": MONTHLY})
    other = bars(0, 5).with_columns(exchange=pl.lit("y"))
    lake.write("ohlcv", pl.concat([bars(0, 5), other]), source="t", now_ns=1)
    compact(str(lake.root))
    assert put(lake, bars(1, 2, price=3.0)).replaced == 2
    assert_frame_equal(rows(lake).filter(exchange="y"), other.select(*OHLCV.schema))
    assert rows(lake).height == 10


def test_a_damaged_file_is_named_and_nothing_is_changed(lake):
    path = lake.root / min(name for name in files(lake) if "month=12" in name)
    content = bytearray(path.read_bytes())
    content[6] ^= 1
    path.write_bytes(content)
    before = files(lake)
    stored = pl.read_parquet(path)["ts"][0]
    with pytest.raises(Unreadable, match=path.name):
        put(lake, bars((stored - START) // HOUR, 1, price=3.0))
    assert files(lake) == before


def test_while_another_writes_it_waits_and_says_who(lake):
    lock = locks.of_folder(lake.root, lake.layouts["ohlcv"], {"symbol": "BTC-BRL"})
    with locks.held(lock, "it", 0), pytest.raises(LakeBusy, match=f"process {os.getpid()}"):
        lake.replace("ohlcv", bars(0, 1, price=3.0), source="t", now_ns=1, wait_s=0)


def test_where_folders_cannot_be_exchanged_one_line_says_so(lake, monkeypatch):
    before = files(lake)
    monkeypatch.setattr(disk, "_exchanger", lambda: (None, None))
    with pytest.raises(CannotExchange):
        put(lake, bars(0, 1, price=3.0))
    assert files(lake) == before
    assert left(lake) == []


LOTS = st.lists(
    st.tuples(st.lists(st.integers(0, 40), max_size=20), st.sampled_from([2.0, 3.0, 4.0]),
              st.sampled_from(["write", "replace", "compact"])),
    max_size=6,
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lots=LOTS)
def test_whatever_is_written_and_replaced_the_lake_holds_what_a_dict_would(tmp_path_factory, lots):
    lake = Lake(tmp_path_factory.mktemp("lakes") / "lake", partitions={"ohlcv": MONTHLY})
    held: dict[int, float] = {}
    for hours, price, how in lots:
        some = pl.concat(
            [bars(700, 1).clear(), *(bars(690 + one, 1, price=price) for one in hours)]
        )
        brings = {690 + one: price for one in hours}
        if how == "replace":
            report = put(lake, some)
            assert report.replaced == sum(held.get(k, p) != p for k, p in brings.items())
            held |= brings
        elif how == "write":
            lake.write("ohlcv", some, source="t", now_ns=1)
            held = brings | held
        else:
            compact(str(lake.root))
    lake.prepare()
    found = rows(lake)
    assert found["ts"].is_unique().all()
    stored = {(ts - START) // HOUR: close for ts, close in found.select("ts", "close").rows()}
    assert stored == held


@pytest.fixture(scope="module")
def deadly():
    process = Deadly(Path(__file__).parent.parent / "dying.py")
    yield process
    process.close()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder where nothing waits for a disk."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def two(memory: Path) -> Lake:
    """A lake whose hours 0 to 44 lie in three files, and in two folders."""
    lake = Lake(memory / "two", partitions={"ohlcv": "ohlcv/{symbol}/{YYYY}/{MM}/{DD}/f.parquet"})
    lake.prepare()
    for first in (0, 5, 30):
        write(str(lake.root), first, 15)
    folder = (lake.root / sorted(files(lake))[1]).parent
    bars(60, 5).write_parquet(folder / "theirs.parquet")
    return lake


def assert_old_or_new(lake: Lake, before: pl.DataFrame) -> None:
    """Each key once; a replaced one with its old values, or with its new ones, kept or told."""
    found = rows(lake)
    old = before.filter(~pl.col("ts").is_between(START + 8 * HOUR, START + 39 * HOUR))
    assert_frame_equal(found.join(old, on="ts", how="semi").sort("ts"), old)
    inside = found.join(old, on="ts", how="anti")
    assert inside["ts"].is_unique().all()
    new = bars(8, 32, price=3.0).select(*OHLCV.schema)
    both = pl.concat([before, new])
    assert_frame_equal(
        inside.join(both, on=inside.columns, how="semi").sort("ts"), inside.sort("ts")
    )
    assert before.join(found, on="ts", how="anti").is_empty()
    gone = before.join(found, on=found.columns, how="anti")
    told = {ts for ts, broken in rejected(lake) if broken == ["replaced"]}
    assert set(gone["ts"]) <= told


class Ended(BaseException):
    """The process is gone: no clean-up reaches the disk any more."""


def ended(lake: Lake, number: int) -> None:
    """Replace rows up to a call to the disk; none is made from there on."""

    def passing(call: int, _: str, when: str) -> None:
        if call >= number and when == "before":
            raise Ended

    with watched(passing), suppress(Ended):
        replace(str(lake.root), 8, 32)


def test_ended_at_whatever_door_each_key_is_there_once(two, memory, deadly):
    """What is on disk after a call is what is there before the next one; some are real kills."""
    template, before = memory / "template", rows(two)
    shutil.copytree(two.root, template)
    calls = counted(lambda: replace(str(two.root), 8, 32))
    assert calls.count("exchange") == 2
    assert {"create", "append", "sync_file", "link", "remove", "replace"} <= set(calls)
    expected = rows(two)
    seen: set[frozenset[tuple[str, bytes]]] = set()
    deaths = {n + later for n, door in enumerate(calls) if door == "exchange" for later in (0, 1)}
    for number in range(len(calls)):
        shutil.rmtree(two.root)
        shutil.copytree(template, two.root)
        if number in deaths:
            said = deadly.run("replace", str(two.root), 8, 32, door=number, when="before")
            assert said == "killed"
        else:
            ended(two, number)
        if (now := frozenset(files(two).items())) not in seen:
            seen.add(now)
            assert_old_or_new(two, before)
        two.heal()
        assert left(two) == [], (number, calls[number])
        assert frozenset(files(two).items()) == now
    assert len(seen) > 2
    replace(str(two.root), 8, 32)
    assert_frame_equal(rows(two), expected)


def refusal(number: int, lake: Lake) -> str:
    """What is said when the disk is full at a call; nothing where it could do without."""
    with refusing(number, errno.ENOSPC):
        try:
            replace(str(lake.root), 8, 32)
        except LakeUnwritable as said:
            return str(said)
    return ""


def test_whatever_call_a_full_disk_refuses_one_line_says_so_and_the_next_run_completes(two, memory):
    template, before = memory / "template", rows(two)
    shutil.copytree(two.root, template)
    calls = counted(lambda: replace(str(two.root), 8, 32))
    expected, refused = rows(two), 0
    for number in range(0, len(calls), 7):
        shutil.rmtree(two.root)
        shutil.copytree(template, two.root)
        said = refusal(number, two)
        assert "\n" not in said
        refused += os.strerror(errno.ENOSPC) in said
        assert_old_or_new(two, before)
        two.heal()
        replace(str(two.root), 8, 32)
        assert_frame_equal(rows(two), expected)
        assert left(two) == []
    assert refused > 5
