"""Files say where their rows come from."""

from __future__ import annotations

import polars as pl
import pyarrow.parquet as pq
import pytest

import cq
from cq.errors import UsageError
from cq.lake import Lake
from cq.lake.origin import Origin, origin_of
from cq.lake.status import files


def only_file(lake: Lake, dataset: str = "ohlcv"):
    (part,) = lake.layouts[dataset].files(lake.root)
    return part.path


def test_a_file_says_who_brought_its_rows_what_was_asked_when_and_with_which_code(lake, bars):
    lake.write("ohlcv", bars(3), source="rest", now_ns=9, asked=(5, 8))
    said = pq.read_metadata(only_file(lake)).metadata
    assert said == {
        b"cq.source": b"rest",
        b"cq.ingested_ts": b"9",
        b"cq.asked_start_ts": b"5",
        b"cq.asked_end_ts": b"8",
        b"cq.version": cq.__version__.encode(),
    }
    assert origin_of(only_file(lake)) == Origin("rest", 9, 5, 8)


def test_what_was_not_asked_for_is_not_said(lake, bars):
    lake.write("ohlcv", bars(3), source="stream", now_ns=9)
    assert origin_of(only_file(lake)) == Origin("stream", 9)
    assert b"cq.asked_start_ts" not in pq.read_metadata(only_file(lake)).metadata


def test_the_same_arguments_give_the_same_bytes(tmp_path, bars):
    for name in ("a", "b"):
        Lake(tmp_path / name).write("ohlcv", bars(3), source="rest", now_ns=9, asked=(5, 8))
    first, second = (only_file(Lake(tmp_path / name)) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert first.name == second.name


def test_rows_that_were_refused_say_it_too(lake, bars):
    bad = bars(2).with_columns(volume=pl.lit(-1.0))
    lake.write("ohlcv", bad, source="rest", now_ns=9, asked=(5, 8))
    assert origin_of(only_file(lake, "rejected")) == Origin("rest", 9, 5, 8)


def test_a_file_of_somebody_else_says_nothing(tmp_path, bars):
    bars(2).write_parquet(tmp_path / "theirs.parquet")
    assert origin_of(tmp_path / "theirs.parquet") is None
    assert Origin.said({b"cq.source": b"x", b"cq.ingested_ts": b"soon"}) is None


def test_merged_files_name_every_source_once_and_all_that_was_asked_for():
    parts = [Origin("b", 7, 20, 30, "0.1"), Origin("a", 9, None, None, "0.2"), Origin("b", 8, 5, 6)]
    merged = Origin.merged(parts)
    assert merged == Origin("a; b", 9, 5, 30, "0.2")
    assert Origin.merged([merged, parts[0]]) == merged
    assert Origin.merged(reversed(parts)) == merged


def test_files_of_a_dataset_are_listed_by_symbol_and_interval(lake, bars):
    for symbol, interval in (("BTC-BRL", "1h"), ("BTC-BRL", "1d"), ("ETH-BRL", "1h")):
        lake.write("ohlcv", bars(3, symbol, interval), source="rest", now_ns=9)
    assert len(files(lake, "ohlcv")) == 3
    (one,) = files(lake, "ohlcv", ["BTC-BRL"], "1d")
    said = one.as_dict(lake.root)
    assert said["path"].startswith("ohlcv/exchange=mercadobitcoin/symbol=BTC-BRL/interval=1d/")
    assert (said["rows"], said["source"], said["asked_end_ts"]) == (3, "rest", None)
    assert files(lake, "ohlcv", ["XRP-BRL"]) == []
    with pytest.raises(UsageError):
        files(lake, "candles")
