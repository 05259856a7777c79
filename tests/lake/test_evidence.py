"""Fingerprints: what a query read, whatever files it lay in."""

from __future__ import annotations

import json
import struct
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cq.errors import DataError, NoBars, UnknownSymbol, Unreadable, UsageError
from cq.lake import Lake, parquet
from cq.lake.evidence import Question, take
from cq.lake.fingerprint import Fingerprint, Owner, load
from cq.lake.rowhash import row_hashes, total
from cq.utils.time import DAY, HOUR, parse_time

START = parse_time("2023-12-30")
BTC = Owner("mercadobitcoin", "BTC-BRL", "1h")
FINE = (
    "ohlcv/exchange={exchange}/symbol={symbol}/interval={interval}"
    "/year={YYYY}/month={MM}/day={DD}/file-{HHmmss}.parquet"
)
COUNTED = ["ts", "open", "high", "low", "close", "volume"]


def written(root, *frames, partitions=None):
    """A lake with these frames in files of their own."""
    lake = Lake(root, partitions=partitions)
    for number, one in enumerate(frames):
        lake.write("ohlcv", one, source=f"test {number}", now_ns=number)
    return lake


@pytest.fixture(scope="module")
def hourly(bars):
    return bars(100, since="2023-12-30")


def test_each_series_has_a_block_for_each_day_with_its_rows(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    taken = lake.fingerprint("bars", symbols=["BTC-BRL"], interval="1h")
    days = [(block.period, block.rows) for block in taken.blocks[BTC]]
    assert days == [
        ("2023-12-30", 24), ("2023-12-31", 24), ("2024-01-01", 24), ("2024-01-02", 24),
        ("2024-01-03", 4),
    ]  # fmt: skip
    assert taken.rows == 100
    first = hourly.filter(pl.col("ts") < START + DAY).select(COUNTED)
    assert taken.blocks[BTC][0].digest == total(row_hashes(first))


def test_no_fingerprint_is_taken_of_a_file_whose_values_were_altered(tmp_path, bars):
    lake = written(tmp_path / "lake", bars(10))
    (path,) = lake.files("BTC-BRL", "1h")
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<d", 104.0), struct.pack("<d", 904.0)))
    assert lake.bars("BTC-BRL", "1h").collect()["close"].max() == 904  # nobody notices it here
    with pytest.raises(Unreadable, match=r"its bytes are not those its name says") as refused:
        lake.fingerprint("bars", symbols="BTC-BRL", interval="1h")
    assert refused.value.path == path
    assert "cq lake verify --quarantine" in str(refused.value)
    path.write_bytes(content)
    assert lake.fingerprint("bars", symbols="BTC-BRL", interval="1h").rows == 10


def test_it_names_the_files_with_rows_bytes_and_digest(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    taken = lake.fingerprint("bars", symbols="BTC-BRL", interval="1h", start="2024-01-01")
    (file,) = taken.files
    path = lake.root / file.path
    assert "year=2024" in file.path
    assert (file.rows, file.bytes) == (52, path.stat().st_size)
    assert file.digest == parquet.digest(path.read_bytes()) == path.stem[-12:]
    theirs = path.with_name("theirs.parquet")
    path.rename(theirs)
    (file,) = lake.fingerprint("ohlcv", start="2024-01-01").files
    assert file.path.endswith("theirs.parquet")
    assert file.digest == parquet.digest(theirs.read_bytes())


def test_of_many_files_each_has_its_rows(tmp_path, hourly, monkeypatch):
    lake = written(tmp_path / "lake", hourly[:30], hourly[30:])
    few = lake.fingerprint().files
    monkeypatch.setattr("cq.lake.evidence.FEW", 1)
    assert lake.fingerprint().files == few
    assert sorted(file.rows for file in few) == [18, 30, 52]


def test_only_rows_in_the_range_count(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    taken = lake.fingerprint(start=START + 5 * HOUR, end=START + 30 * HOUR)
    assert [block.rows for block in taken.blocks[BTC]] == [19, 6]
    assert taken.filter == {"start": START + 5 * HOUR, "end": START + 30 * HOUR}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(1, 99), max_size=3, unique=True).map(sorted), st.randoms(), st.booleans()
)
def test_files_their_order_and_the_layout_do_not_matter(
    tmp_path_factory, hourly, cuts, random, fine
):
    edges = [0, *cuts, 100]
    frames = [
        hourly[a:b].sample(fraction=1, shuffle=True, seed=random.randint(0, 99))
        for a, b in pairwise(edges)
    ]
    random.shuffle(frames)
    partitions = {"ohlcv": FINE} if fine else None
    other = written(tmp_path_factory.mktemp("other") / "lake", *frames, partitions=partitions)
    whole = written(tmp_path_factory.mktemp("whole") / "lake", hourly)
    one, two = whole.fingerprint(), other.fingerprint()
    assert one.blocks == two.blocks
    assert one.digest == two.digest
    assert one.coarser().digest == one.digest == whole.fingerprint(by="month").digest
    assert one.coarser().blocks == whole.fingerprint(by="month").blocks


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 99), st.sampled_from(COUNTED), st.sampled_from(["change", "drop", "add"]))
def test_a_changed_a_missing_and_an_extra_row_change_its_own_block_only(hourly, at, name, how):
    whole = print_of(hourly)
    row = hourly[at]
    if how == "change":
        changed = row.with_columns(
            pl.col(name) + (1 if name == "ts" else 1e-9 * pl.col(name) + 1e-12)
        )
    elif how == "add":
        changed = pl.concat([row, row.with_columns(ts=pl.col("ts") + 1)])
    else:
        changed = row.clear()
    other = print_of(pl.concat([hourly[:at], changed, hourly[at + 1 :]]))
    assert other.digest != whole.digest
    differing = set(whole.blocks[BTC]) ^ set(other.blocks[BTC])
    day = (START + at * HOUR) // DAY
    assert {parse_time(block.period) // DAY for block in differing} == {day}


def print_of(rows):
    from cq.lake.evidence import blocks_of

    return Fingerprint("bars", {}, tuple(COUNTED), "day", {BTC: blocks_of(rows, COUNTED, "day")})


def test_an_interval_that_is_not_stored_is_made_as_bars_makes_it(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    taken = lake.fingerprint("bars", symbols="BTC-BRL", interval="4h")
    made = lake.bars("BTC-BRL", "4h").collect()
    assert taken.rows == made.height == 25
    (blocks,) = taken.blocks.values()
    assert sum(block.digest for block in blocks) % 2**64 == total(row_hashes(made, COUNTED))
    assert lake.fingerprint("bars", interval="4h").digest == taken.digest
    with pytest.raises(UnknownSymbol):
        lake.fingerprint("bars", symbols="ETH-BRL", interval="1h")


def test_a_condition_in_sql_reads_the_same_rows(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    plain = lake.fingerprint("ohlcv", start=START + 5 * HOUR)
    asked = lake.fingerprint("bars", f"ts >= {START + 5 * HOUR}", columns=COUNTED)
    assert asked.blocks == plain.blocks
    assert {file.path for file in asked.files} >= {file.path for file in plain.files}
    fewer = lake.fingerprint("ohlcv", "close > 150", symbols="BTC-BRL", interval="1h")
    assert fewer.rows == hourly.filter(pl.col("close") > 150).height
    with pytest.raises(UsageError, match="closse"):
        lake.fingerprint("ohlcv", "closse > 150")
    with pytest.raises(UsageError, match="one question"):
        lake.fingerprint("ohlcv", "true); drop view bars; select (1")


def test_any_view_has_one(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    daily = lake.fingerprint("bars_1d")
    assert daily.rows == lake.sql("from bars_1d").height > 0
    assert [file.path for file in daily.files] == [file.path for file in lake.fingerprint().files]
    with pytest.raises(UsageError, match="no view 'brs'"):
        lake.fingerprint("brs")
    with pytest.raises(UsageError, match="expected day or month"):
        lake.fingerprint(by="week")


def test_datasets_of_texts_and_lists_have_one(tmp_path, hourly):
    lake = Lake(tmp_path / "lake")
    trades = pl.DataFrame(
        {
            "ts": [START, START + 1],
            "price": [1.0, 2.0],
            "size": [1.0, 1.0],
            "side": ["buy", None],
            "trade_id": ["1", "22"],
            "symbol": ["A-B"] * 2,
            "exchange": ["x"] * 2,
        }
    )
    lake.write("trades", trades, source="test", now_ns=1)
    lake.write("ohlcv", hourly.with_columns(low=pl.lit(-1.0)), source="test", now_ns=1)
    taken = lake.fingerprint("trades")
    assert taken.blocks[Owner("x", "A-B")][0].digest == total(row_hashes(trades, taken.columns))
    assert "trade_id" in taken.columns
    refused = lake.fingerprint("rejected", symbols="BTC-BRL")
    assert refused.rows == 100
    assert lake.fingerprint("rejected", symbols="ETH-BRL").rows == 0
    with pytest.raises(UsageError, match="no interval"):
        lake.fingerprint("trades", interval="1h")


def test_it_goes_through_json_and_back(tmp_path, hourly):
    taken = written(tmp_path / "lake", hourly).fingerprint(start=START + HOUR)
    path = tmp_path / "print.json"
    path.write_text(taken.as_json())
    assert load(path) == taken
    assert Question.of(load(path)) == Question(start=START + HOUR)
    forged = taken.as_dict()
    forged["series"][0]["blocks"]["2023-12-31"] = f"24 {7:016x}"
    path.write_text(json.dumps(forged))
    with pytest.raises(DataError, match="its digest is"):
        load(path)
    for text in ("[]", "{}", "nonsense", '{"format": 9, "recipe": "x"}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"print\.json is no fingerprint"):
            load(path)


def test_an_empty_lake_has_an_empty_one(tmp_path):
    taken = Lake(tmp_path / "lake").fingerprint("ohlcv")
    assert (taken.rows, taken.files, dict(taken.blocks)) == (0, (), {})
    assert taken.digest != taken._replace(columns=("ts",)).digest


def test_folders_that_do_not_name_the_owner_are_looked_into(tmp_path, hourly, bars):
    both = pl.concat([hourly, bars(50, "ETH-BRL")])
    flat = written(tmp_path / "flat", both, partitions={"ohlcv": "ohlcv/file-{HHmmss}.parquet"})
    usual = written(tmp_path / "usual", both)
    assert flat.fingerprint().blocks == usual.fingerprint().blocks
    eth = Question(symbols=("ETH-BRL",))
    assert take(flat, eth).blocks == take(usual, eth).blocks


def test_made_bars_that_hold_a_condition_are_those_that_bars_makes(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    whole = lake.fingerprint("bars", symbols="BTC-BRL", interval="4h")
    asked = lake.fingerprint("bars", "true", symbols="BTC-BRL", interval="4h")
    assert (asked.blocks, asked.columns) == (whole.blocks, whole.columns)
    made = lake.bars("BTC-BRL", "4h").filter(pl.col("close") > 150).collect()
    fewer = lake.fingerprint("bars", "close > 150", symbols="BTC-BRL", interval="4h")
    assert 0 < fewer.rows == made.height < whole.rows
    stored = lake.fingerprint("bars", symbols="BTC-BRL")
    assert lake.fingerprint("bars", "true", symbols="BTC-BRL").digest == stored.digest


def test_what_the_lake_has_nothing_of_is_refused(tmp_path, hourly):
    lake = written(tmp_path / "lake", hourly)
    for view in ("bars", "ohlcv", "trades", "bars_1d"):
        with pytest.raises(UnknownSymbol, match=r"did you mean BTC-BRL\?"):
            lake.fingerprint(view, symbols="BTC-BR")
        with pytest.raises(UnknownSymbol, match="no exchange nope here"):
            lake.fingerprint(view, exchange="nope")
    with pytest.raises(UnknownSymbol, match="no interval 4h here"):
        lake.fingerprint("ohlcv", interval="4h")
    with pytest.raises(NoBars, match="at 90m or a finer interval that divides it"):
        lake.fingerprint("bars", interval="90m")
