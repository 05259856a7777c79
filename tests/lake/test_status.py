import numpy as np
import polars as pl
import pytest

from cq.errors import DataError
from cq.lake import Lake
from cq.lake.status import status
from cq.utils.time import HOUR, SECOND, parse_time

JANUARY = parse_time("2024-01-01")


def test_an_empty_lake_holds_nothing(lake):
    assert status(lake, 1) == []
    lake.prepare()
    assert status(lake, 1) == []


@pytest.mark.parametrize("template", [None, "ohlcv/{symbol}/{YYYY}/{MM}/file-{HHmmss}.parquet"])
def test_each_series_says_its_range_rows_files_and_lag(tmp_path, bars, template):
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": template} if template else None)
    rows = pl.concat([bars(30, since="2023-12-31T20:00"), bars(5, "ETH-BRL", exchange="binance")])
    lake.write("ohlcv", rows, source="test", now_ns=1)
    other, mine = status(lake, JANUARY + 27 * HOUR)
    assert (mine.dataset, mine.exchange, mine.symbol, mine.interval) == (
        *("ohlcv", "mercadobitcoin", "BTC-BRL", "1h"),
    )
    assert (mine.first_ts, mine.newest_ts) == (JANUARY - 4 * HOUR, JANUARY + 25 * HOUR)
    assert (mine.rows, mine.files, mine.lag_seconds) == (30, 2, HOUR / SECOND)
    assert mine.bytes == sum(path.stat().st_size for path in lake.files("BTC-BRL", "1h"))
    assert (other.exchange, other.rows) == ("binance", 5)
    assert other.as_dict()["lag_seconds"] == 22 * 3600


def test_refused_rows_are_listed_and_never_late(lake, bars):
    lake.write("ohlcv", bars(2).with_columns(open=-1.0), source="test", now_ns=1)
    (one,) = status(lake, JANUARY)
    assert (one.dataset, one.rows, one.lag_seconds) == ("rejected", 2, None)


def test_a_spoilt_file_is_named(lake, bars):
    lake.write("ohlcv", bars(2), source="test", now_ns=1)
    (path,) = lake.files("BTC-BRL", "1h")
    path.write_bytes(b"no Parquet")
    with pytest.raises(DataError, match=path.name):
        status(lake, 1)


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_footer_is_named_and_never_ends_the_process(lake, bars, seed):
    """Statistics of a footer whose types do not fit end it, in Arrow, without an error."""
    chance = np.random.default_rng(seed)
    lake.write("ohlcv", bars(300), source="test", now_ns=10**19)
    (path,) = lake.files("BTC-BRL", "1h")
    whole, named = path.read_bytes(), 0
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    for at in chance.integers(len(whole) - footer, len(whole) - 8, 300):
        spoilt = bytearray(whole)
        spoilt[at] = chance.integers(0, 256)
        path.write_bytes(spoilt)
        found = said(lake, path)
        named += path.name in found
        assert found == "1" or path.name in found
    assert named > 30


def said(lake, path):
    """How many series there are, or the error."""
    try:
        return str(len(status(lake, JANUARY)))
    except DataError as error:
        return str(error)


def test_files_of_many_row_groups_say_their_whole_range(lake, bars, monkeypatch):
    monkeypatch.setattr("cq.lake.parquet.ROW_GROUP", 30)
    rows = bars(100)
    lake.write("ohlcv", rows, source="test", now_ns=1)
    (one,) = status(lake, JANUARY)
    assert (one.first_ts, one.newest_ts) == (rows["ts"].min(), rows["ts"].max())
    (path,) = lake.files("BTC-BRL", "1h")
    path.rename(path.with_name("theirs.parquet"))
    assert status(lake, JANUARY)[0].newest_ts == rows["ts"].max()
