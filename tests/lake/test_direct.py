"""Frames of the lake that are collected as they stand are those that Polars' engine collects."""

from __future__ import annotations

import makers
import polars as pl
import pytest

from cq.errors import Unreadable
from cq.lake import Lake
from cq.lake.direct import Direct
from cq.utils.time import DAY, HOUR

CLOSES = [100.0 + k % 7 + k / 50 for k in range(600)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("direct") / "lake")
    for symbol in ("A-B", "C-D"):
        for start in (1_703_800_000 // 3600 * HOUR, 0):  # across a year's end, and 1970
            bars = makers.hourly(symbol, CLOSES, start=start)
            rows = bars.with_columns(interval=pl.lit("1h"))
            made.write("ohlcv", rows, source="test", now_ns=2 * 10**18)
    return made


def asked(lake):
    return [
        lake.bars("A-B", "1h"),
        lake.bars(["A-B", "C-D"], "1h"),
        lake.bars("A-B", "4h", 30 * HOUR, 9 * DAY),
        lake.bars(["A-B", "C-D"], "1d"),
        lake.bars("A-B", "1h", 5 * HOUR, 5 * HOUR),
        lake.bars("A-B", "1h", 0, DAY, columns=("ts", "close")),
        lake.bars_before("A-B", "1h", 50 * HOUR, 20),
        lake.bars_before(["A-B", "C-D"], "4h", 500 * HOUR, 20),
    ]


def test_collected_as_it_stands_it_is_what_the_engine_collects(lake):
    for rows in asked(lake):
        found, expected = rows.collect(), pl.LazyFrame.collect(rows)
        assert found.equals(expected)
        assert found.schema == expected.schema == rows.collect_schema()
        assert found["ts"].flags == expected["ts"].flags
        assert rows.collect(engine="in-memory").equals(expected)
        assert rows.collect(engine="streaming").equals(expected)


def test_no_engine_is_started_for_it(lake, monkeypatch):
    monkeypatch.setattr(pl.LazyFrame, "collect", lambda *_, **__: pytest.fail("the engine"))
    read = pl.DataFrame({"ts": [1, 2]})
    assert Direct.of(read.lazy(), lambda: iter([read])).collect().equals(read)


def test_what_is_made_of_it_is_made_by_polars(lake):
    rows = lake.bars("A-B", "1h")
    whole = rows.collect()
    late = pl.col("ts") >= DAY
    assert rows.filter(late).collect().equals(whole.filter(late))
    assert rows.select("close").head(3).collect().equals(whole.select("close").head(3))
    assert pl.concat([rows, rows]).collect().equals(pl.concat([whole, whole]))
    assert rows.join(rows, on="ts").collect().height == whole.height
    assert [one.equals(whole) for one in pl.collect_all([rows, rows])] == [True, True]
    assert rows.clone().collect().equals(whole)
    assert rows.lazy().collect().equals(whole)


def test_it_sees_what_was_written_since_it_was_asked(tmp_path):
    lake = Lake(tmp_path / "lake")
    for k in range(2):
        bars = makers.hourly("A-B", CLOSES[:5], start=k * 5 * HOUR)
        lake.write("ohlcv", bars.with_columns(interval=pl.lit("1h")), source="t", now_ns=10**18)
        if not k:
            rows = lake.bars("A-B", "1h")
            assert rows.collect().height == 5
    assert rows.collect().height == 10


def test_a_damaged_file_is_named(tmp_path):
    lake = Lake(tmp_path / "lake")
    bars = makers.hourly("A-B", CLOSES[:50]).with_columns(interval=pl.lit("1h"))
    lake.write("ohlcv", bars, source="t", now_ns=10**18)
    (path,) = lake.files("A-B", "1h")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(Unreadable, match=path.name):
        lake.bars("A-B", "1h").collect()
