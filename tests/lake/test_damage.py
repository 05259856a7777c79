"""A file of the lake that cannot be read is named, whoever comes across it."""

import os

import polars as pl
import pytest

from cq.errors import DataError, Unreadable
from cq.lake import Lake, collected, damage, layout, reading
from cq.lake.quality import run_checks
from cq.lake.status import status


def files(lake: Lake) -> list:
    return [part.path for part in lake.layouts["ohlcv"].files(lake.root)]


@pytest.fixture
def broken(lake, bars):
    """A lake of two files and the one that was cut short."""
    for since in ("2023-01-01", "2024-01-01"):
        lake.write("ohlcv", bars(900, since=since), source="t", now_ns=1)
    path = files(lake)[1]
    os.truncate(path, 900)
    return lake, path


def test_bars_sql_scan_checks_and_status_name_the_damaged_file(broken):
    lake, path = broken
    asks = [
        lambda: collected(lake.bars("BTC-BRL", "1h"), lake.root),
        lambda: collected(lake.bars_before("BTC-BRL", "1h", 2**62, 1000), lake.root),
        lambda: lake.sql("select max(close) from bars"),
        lambda: run_checks(lake, now_ns=1),
        lambda: status(lake, 1),
    ]
    for ask in asks:
        with pytest.raises(Unreadable) as caught:
            ask()
        assert caught.value.path == path
        assert "move it away" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_views_that_cannot_be_bound_name_the_damaged_file_too(lake, bars):
    lake.write("ohlcv", bars(900), source="t", now_ns=1)
    os.truncate(files(lake)[0], 900)
    with pytest.raises(Unreadable, match="year=2024"):
        lake.sql("from bars")
    with pytest.raises(Unreadable, match="year=2024"):
        lake.scan("bars").collect()


def test_a_write_over_a_damaged_file_names_it(broken, bars):
    lake, path = broken
    with pytest.raises(Unreadable, match=path.name):
        lake.write("ohlcv", bars(900, since="2024-01-02"), source="t", now_ns=1)


def test_a_file_whose_ends_are_whole_is_read_to_find_the_damage(lake, bars):
    lake.write("ohlcv", bars(3), source="t", now_ns=1)
    (path,) = files(lake)
    path.write_bytes(b"PAR1" + b"x" * 50 + b"PAR1")
    with pytest.raises(Unreadable) as caught:
        collected(lake.bars("BTC-BRL", "1h"), lake.root)
    assert caught.value.path == path


def test_a_file_that_may_not_be_read_asks_for_its_permissions(lake, bars, monkeypatch):
    lake.write("ohlcv", bars(3), source="t", now_ns=1)
    monkeypatch.setattr(damage, "problem", lambda *_, **__: "Permission denied")
    with pytest.raises(Unreadable, match="check its permissions"), reading(lake.root):
        raise PermissionError(13, "Permission denied")


def test_what_is_no_file_s_fault_is_not_put_on_one(lake, bars):
    lake.write("ohlcv", bars(3), source="t", now_ns=1)
    with pytest.raises(DataError, match=r"strange.; look with") as caught, reading(lake.root):
        raise pl.exceptions.ComputeError("strange")
    assert not isinstance(caught.value, Unreadable)


def test_a_folder_that_may_not_be_listed_is_not_an_empty_one(lake, bars, monkeypatch):
    lake.write("ohlcv", bars(3), source="t", now_ns=1)

    def guarded(real):
        def call(path, *rest, **named):
            if str(path).endswith("symbol=BTC-BRL"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *rest, **named)

        return call

    for name in ("open", "listdir"):
        monkeypatch.setattr(layout.os, name, guarded(getattr(os, name)))
    for ask in (lake.stored, lambda: lake.sql("from bars"), lambda: lake.bars("BTC-BRL", "1h")):
        with pytest.raises(Unreadable, match=r"symbol=BTC-BRL .*check its permissions"):
            ask()


def test_a_message_without_a_file_of_the_lake_names_none(tmp_path):
    assert damage.found_in(tmp_path, f"no magic bytes in '{tmp_path}/a/b.parquet'") == (
        tmp_path / "a/b.parquet"
    )
    assert damage.found_in(tmp_path, "cannot open '/elsewhere/b.parquet'") is None
