from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.lake import Lake, keys
from cq.lake.datasets import OHLCV, TRADES
from cq.lake.layout import is_ours

NOW = 1_800_000_000_000_000_000
OWNER = {"exchange": "test", "symbol": "BTC-BRL"}


def trades(ids: Sequence[str], ts: int = NOW) -> pl.DataFrame:
    return pl.DataFrame({"trade_id": ids}, schema={"trade_id": pl.String}).with_columns(
        ts=pl.lit(ts, pl.Int64), price=1.0, size=1.0, side=pl.lit("buy"),
        symbol=pl.lit("BTC-BRL"), exchange=pl.lit("test"),
    )  # fmt: skip


def write(lake: Lake, ids: Sequence[str], ts: int = NOW):
    return lake.write("trades", trades(ids, ts), source="test", now_ns=NOW)


def stored(lake: Lake) -> list[str]:
    paths = lake.layouts["trades"].paths(lake.root, OWNER)
    rows = pl.scan_parquet(paths, hive_partitioning=False).select("trade_id").collect()
    return sorted(rows["trade_id"])


def opened(lake: Lake, ids: Sequence[str]) -> int:
    """How many files a write of these ids would look into."""
    paths = lake.layouts["trades"].paths(lake.root, OWNER)
    wanted = keys.ranges_of(trades(ids), "trade_id")
    return len(keys.candidates(lake.root, TRADES, OWNER, paths, wanted))


IDS = st.one_of(
    st.integers(0, 2_000).map(str),
    st.integers(95, 105).map(str),
    st.text("0189az/é", max_size=4),
)
WRITES = st.lists(st.tuples(st.lists(IDS, max_size=8), st.integers(0, 3)), max_size=8)


@settings(max_examples=40)
@given(WRITES)
def test_a_key_lands_once_whatever_text_it_is_and_whoever_else_writes(writes):
    caches: list[dict] = [{}, {}]
    with TemporaryDirectory() as folder:
        lakes = [Lake(Path(folder) / "lake") for _ in caches]
        expected: set[str] = set()
        for ids, how in writes:
            keys._known = caches[how % 2]  # as two processes would, each with its own memory
            report = write(lakes[how % 2], ids, NOW + how // 2 * 90 * 86_400_000_000_000)
            new = {one for one in ids if one not in expected}
            assert report.landed == len(new)
            expected |= new
        keys._known = {}
        if expected:
            assert stored(lakes[0]) == sorted(expected)


def test_a_write_of_newer_ids_opens_no_file_however_many_there_are(tmp_path):
    lake = Lake(tmp_path / "lake")
    for first in range(9_000, 9_900, 50):
        write(lake, [str(one) for one in range(first, first + 50)])
    assert opened(lake, ["9900", "9999"]) == 0
    assert opened(lake, ["10000", "10999"]) == 0  # as text this lies among the older ones
    assert opened(lake, ["9049", "9050"]) == 2


def test_what_is_remembered_after_a_write_is_what_the_files_say(tmp_path):
    lake = Lake(tmp_path / "lake")
    write(lake, ["7", "12", "100", "", "é"])
    write(lake, ["13"])
    remembered = dict(keys._of(lake.root, TRADES, OWNER))
    assert len(remembered) == 2
    read = keys._read(lake.root, TRADES, list(remembered))
    assert {path: sorted(one) for path, one in read.items()} == {
        path: sorted(one) for path, one in remembered.items()
    }


def test_a_file_that_somebody_else_named_is_looked_into_every_time(tmp_path):
    lake = Lake(tmp_path / "lake")
    write(lake, ["1"])
    (ours,) = lake.root.glob("trades/exchange=test/**/file-*.parquet")
    theirs = ours.with_name("theirs.parquet")
    assert is_ours(ours.name)
    assert not is_ours(theirs.name)
    trades(["5"]).write_parquet(theirs)
    assert write(lake, ["5"]).already_there == 1
    trades(["6"]).write_parquet(theirs)
    report = write(lake, ["5", "6"])
    assert (report.landed, report.already_there) == (1, 1)


def test_a_file_without_rows_holds_no_key(tmp_path):
    lake = Lake(tmp_path / "lake")
    write(lake, ["1"])
    (ours,) = lake.root.glob("trades/exchange=test/**/file-*.parquet")
    trades([]).write_parquet(ours.with_name("file-000000-0123456789ab.parquet"))
    keys._known.clear()
    assert write(lake, ["1", "2"]).landed == 1


def test_memory_of_more_files_than_the_most_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "MOST", 3)
    lake = Lake(tmp_path / "lake")
    for one in range(6):
        write(lake, [str(one)])
    keys._known.clear()
    assert write(lake, ["0", "3", "6"]).landed == 1
    assert stored(lake) == [str(one) for one in range(7)]


@given(st.lists(st.one_of(st.none(), st.text("0123456789é", max_size=4)), max_size=16))
def test_a_few_keys_looked_at_one_by_one_lie_between_the_same_as_by_a_query(ids):
    rows = trades(ids)
    by_query = keys._ranges(rows.lazy(), pl.String(), "trade_id").collect().rows()
    assert sorted(keys.ranges_of(rows, "trade_id")) == sorted(by_query)


def test_what_keys_lie_between_is_told_by_the_keys_and_not_by_a_footer(tmp_path, bars):
    lake = Lake(tmp_path / "lake")
    for since in ("2023-12-31T20:00", "2024-03-01"):
        lake.write("ohlcv", bars(9, since=since), source="test", now_ns=NOW)
    paths = [str(path) for path in lake.files("BTC-BRL", "1h")]
    assert len(paths) == 3
    read = keys._read(lake.root, OHLCV, paths)
    told = {path: pl.read_parquet(path)["ts"] for path in paths}
    assert read == {path: ((0, ts.min(), ts.max()),) for path, ts in told.items()}
    pl.read_parquet(paths[0]).write_parquet(paths[0], statistics=False)
    assert keys._read(lake.root, OHLCV, paths) == read
