"""Bars made of finer ones in memory, through `Lake.bars`: the same as Polars' own plan makes."""

import os
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from cq.errors import DataError, Unreadable
from cq.lake import Lake, made_bars, parquet, row_groups, source
from cq.lake.made_bars import MadeBars
from cq.lake.reader import Wanted
from cq.utils.time import DAY, HOUR, MINUTE

DAYS = 40
BEGUN = 54 * 365 * DAY
SYMBOLS = ("AAA-BRL", "BBB-BRL", "CCC-BRL")


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Forty days of minutes of three symbols, over two years, with holes, in many row groups."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(parquet, "ROW_GROUP", 7001)
        return filled(Lake(tmp_path_factory.mktemp("made") / "lake"))


def filled(lake: Lake) -> Lake:
    for seed, symbol in enumerate(SYMBOLS):
        random = np.random.default_rng(seed)
        minutes = np.flatnonzero(random.random(DAYS * 1440) > 0.2)
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.001, minutes.size)))
        rows = pl.DataFrame({
            "ts": BEGUN + minutes * MINUTE, "open": close, "high": close * 1.01,
            "low": close * 0.99, "close": close,
            "volume": random.lognormal(0, 3, minutes.size).round(8),
        })  # fmt: skip
        named = {"symbol": symbol, "exchange": "x", "interval": "1m"}
        rows = rows.with_columns(pl.lit(value).alias(name) for name, value in named.items())
        lake.write("ohlcv", rows, source="test", now_ns=10**18 * 5)
    return lake


def by_plan(monkeypatch):
    """Nothing is folded."""
    monkeypatch.setattr(MadeBars, "folds", lambda _self, large: False)


def by_frame(monkeypatch):
    """What is folded is read by Polars, as where pyarrow is not loaded."""
    few = type("Modules", (), {"modules": {"numpy": np}})
    monkeypatch.setattr(made_bars, "sys", few)


def questions(lake):
    for interval in ("15m", "1h", "1d", "1w", "1M"):
        whole = lake.bars(SYMBOLS, interval)
        yield whole
        yield whole.filter(pl.col("high") > 101).select("symbol", "close")
        yield whole.filter(pl.col("exchange") == "x", pl.col("volume") > 3).select("ts").head(7)
        yield lake.bars(SYMBOLS[0], interval, columns=("volume",))
        yield lake.bars(SYMBOLS[1], interval, BEGUN + 3 * DAY + 7 * MINUTE, BEGUN + 34 * DAY)
        yield lake.bars(SYMBOLS[1], interval, BEGUN + 5 * HOUR, BEGUN + 5 * HOUR + 1)


@pytest.mark.parametrize("way", [by_plan, by_frame])
def test_however_bars_are_made_they_are_the_same(lake, way, monkeypatch):
    folded = [one.collect() for one in questions(lake)]
    way(monkeypatch)
    for found, question in zip(folded, questions(lake), strict=True):
        assert_frame_equal(found, question.collect(), check_exact=True)
    assert folded[0].height > 3 * 2 * 1440


def test_little_is_not_folded_before_numpy_is_there(monkeypatch):
    made = MadeBars(lambda parts: pl.LazyFrame(), "1h", lambda bars: bars)
    assert made.folds(large=False)
    monkeypatch.setattr(made_bars, "sys", type("Modules", (), {"modules": {}}))
    assert not made.folds(large=False)
    assert made.folds(large=True)


@pytest.fixture
def read(monkeypatch) -> list[list[str]]:
    """The columns of what is read from now on: of row groups one by one, of frames at once."""
    seen: list[list[str]] = []
    collect_all, column = pl.collect_all, row_groups._Opened.column

    def collected(frames, **keywords):
        found = collect_all(frames, **keywords)
        seen.extend(rows.columns for rows in found)
        return found

    def one(self, groups, name):
        seen.append([name])
        return column(self, groups, name)

    monkeypatch.setattr(pl, "collect_all", collected)
    monkeypatch.setattr(row_groups._Opened, "column", one)
    return seen


def test_only_the_columns_asked_for_are_read(lake, read, monkeypatch):
    lake.bars(SYMBOLS[0], "1h").select("close").collect()
    groups = [pq.read_metadata(path).num_row_groups for path in lake.files(SYMBOLS[0], "1h")]
    reads = len(read) // 2
    assert sum(groups) / row_groups.AT_ONCE <= reads < sum(groups)
    assert sorted(read) == [["close"]] * reads + [["ts"]] * reads
    by_frame(monkeypatch)
    read.clear()
    lake.bars(SYMBOLS[0], "1h").select("close").collect()
    assert read == [["ts", "close"]]


def test_of_many_series_pyarrow_is_worth_its_loading(lake, read, monkeypatch):
    by_frame(monkeypatch)
    monkeypatch.setattr(source, "MANY", 3)
    lake.bars(SYMBOLS, "1h").select("close").collect()
    assert {tuple(one) for one in read} == {("ts",), ("close",)}


def rewritten(lake, folder, change):
    """A lake like it whose files of one symbol are others, under names of ours."""
    other = Lake(folder / "lake")
    shutil.copytree(lake.root, other.root, dirs_exist_ok=True)
    for path in other.files(SYMBOLS[1], "1m"):
        change(path)
    return other


def test_volumes_that_arrays_cannot_sum_are_left_to_the_plan(lake, tmp_path, monkeypatch):
    odd = pl.when(pl.col("ts") % 7 == 0).then(1e-12).otherwise("volume")
    other = rewritten(
        lake,
        tmp_path,
        lambda path: pl.read_parquet(path).with_columns(volume=odd).write_parquet(path),
    )
    found = other.bars(SYMBOLS, "1h").collect()
    by_plan(monkeypatch)
    assert_frame_equal(found, other.bars(SYMBOLS, "1h").collect(), check_exact=True)


@pytest.mark.parametrize(
    "odd",
    [
        lambda rows: rows.with_columns(pl.col("high").cast(pl.Float32)),
        lambda rows: rows.with_columns(close=pl.when(pl.col("ts") % 7 > 0).then("close")),
        lambda rows: rows.drop("close"),
        lambda rows: rows.with_columns(close=pl.concat_list("close")),
    ],
)
def test_what_arrays_do_not_tell_is_left_to_the_plan(lake, tmp_path, monkeypatch, odd):
    def change(path):
        odd(pl.read_parquet(path)).write_parquet(path)

    def asked():
        try:
            return rewritten_lake.bars(SYMBOLS, "1h").collect()
        except DataError as error:
            return str(error)

    rewritten_lake = rewritten(lake, tmp_path, change)
    found = asked()
    by_plan(monkeypatch)
    said = asked()
    assert type(found) is type(said)
    assert found.equals(said) if isinstance(found, pl.DataFrame) else found == said


def test_columns_are_told_apart_behind_one_that_has_parts(lake, tmp_path, read):
    def change(path):
        table = pq.read_table(path)
        parts = pa.array([{"a": 1.0, "b": 2.0}] * table.num_rows)
        pq.write_table(table.add_column(1, "info", parts), path)

    other = rewritten(lake, tmp_path, change)
    read.clear()
    found = other.bars(SYMBOLS, "1h", columns=("ts", "high", "volume")).collect()
    assert ["high"] in read
    assert_frame_equal(
        found, lake.bars(SYMBOLS, "1h").select("ts", "high", "volume").collect(), check_exact=True
    )


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_are_an_error_or_no_matter_but_never_the_end_of_the_process(
    lake, tmp_path, seed
):
    """Arrow ends the process over some footers' statistics, which nobody asks for."""
    chance = np.random.default_rng(seed)
    (path,) = rewritten(lake, tmp_path, lambda path: None).files(SYMBOLS[1], "1m")[:1]
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    for at in chance.integers(len(whole) - footer, len(whole) - 8, 150):
        spoilt = bytearray(whole)
        spoilt[at] = chance.integers(0, 256)
        path.write_bytes(spoilt)
        plan = MadeBars(lambda parts: pl.LazyFrame(), "1h", lambda rows: rows, (0, 2**62))
        found = made_bars._partials(path, plan, ["high", "volume"], (0, 1))
        assert isinstance(found, list)


def test_small_files_are_read_many_at_once(lake, read, monkeypatch):
    monkeypatch.setattr(made_bars, "LEAST_BYTES", 2**30)
    lake.bars(SYMBOLS[0], "1h").select("close").collect()
    assert read == [["ts", "close"]]


def test_months_are_not_folded_and_weigh_what_they_are(lake):
    for interval, few in (("1M", False), ("1h", True)):
        pieces = list(lake._bars._sourced(lake.series(SYMBOLS[0], "1m"), Wanted(interval, 0, 2**62))
                      ._pieces(source.Place()))  # fmt: skip
        assert [one.weight < one.size for one in pieces] == [few] * len(pieces)


def test_a_file_cut_in_half_is_named(lake, tmp_path):
    def change(path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    other = rewritten(lake, tmp_path, change)
    with pytest.raises(Unreadable, match=other.files(SYMBOLS[1], "1m")[0].name):
        other.bars(SYMBOLS, "1h").collect()


JOINED = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy
import polars as pl
from cq.lake import Lake
lake = Lake(sys.argv[1])
hours, symbols = lake.bars({symbols!r}, "1h"), {symbols!r}

def ask(engine):
    joined = hours
    for symbol in symbols:
        joined = joined.join(lake.bars(symbol, "1d").select("ts", "close"), on="ts", how="left",
                             suffix=symbol)
    return joined.collect(engine=engine).height

with ThreadPoolExecutor(4) as pool:
    print(len(set(pool.map(ask, ["streaming", "in-memory"] * 4))))
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_folding_never_waits_for_a_thread_that_waits_for_it(lake, threads):
    command = [sys.executable, "-c", JOINED.format(symbols=SYMBOLS), str(lake.root)]
    environment = os.environ | {"POLARS_MAX_THREADS": threads}
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert found.stdout == "1\n"


def test_bars_open_where_they_should(lake):
    hours = lake.bars(SYMBOLS[0], "1h").collect()
    assert (hours["ts"] % HOUR == 0).all()
    assert hours["ts"].is_sorted()
    assert hours["symbol"].unique().to_list() == [SYMBOLS[0]]
