from __future__ import annotations

import json
import math
import os
from pathlib import Path

import makers
import polars as pl
import pytest

from cq import backtest
from cq.backtest.result import FILES, new_folder
from cq.errors import DataError, Unreadable
from cq.lake import Lake
from cq.strategies import load
from cq.utils.config import defaults

PROJECT = Path(__file__).parents[2]
SETTINGS = defaults(PROJECT).backtest


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("result") / "lake")
    closes = [100 + 10 * math.sin(i / 5) for i in range(300)]
    bars = makers.hourly("BTC-BRL", closes).with_columns(interval=pl.lit("1h"))
    made.write("ohlcv", bars, source="test", now_ns=10**18)
    return made


def run(lake, *overrides):
    path = PROJECT / "configs/strategies/crossover_btc.yaml"
    return backtest.run(lake, load(path, ["fast=3", "slow=8", *overrides]), SETTINGS)


def test_the_folder_holds_what_was_found(lake, tmp_path):
    result = run(lake)
    result.write(tmp_path / "deep" / "out")
    folder = tmp_path / "deep" / "out"
    assert sorted(one.name for one in folder.iterdir()) == sorted(FILES)
    assert pl.read_csv(folder / "trades.csv").equals(result.trades)
    assert pl.read_parquet(folder / "equity.parquet").equals(result.equity)
    assert json.loads((folder / "metrics.json").read_text()) == result.metrics
    config = json.loads((folder / "config.json").read_text())
    assert config == result.config
    assert config["backtest"]["seed"] == 0
    assert config["data"]["rows"] == 300
    assert len(config["data"]["digest"]) == 32
    assert config["code"]["cq"]


def test_the_same_run_twice_writes_the_same_bytes(lake, tmp_path):
    run(lake).write(tmp_path / "one")
    run(lake).write(tmp_path / "two")
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_has_no_value_is_null_in_json(lake, tmp_path):
    result = run(lake, "backtest.cash=0.5")
    assert result.trades.height == 0
    result.write(tmp_path)
    said = json.loads((tmp_path / "metrics.json").read_text())
    assert said["hit_rate"] is said["payoff"] is said["sharpe"] is None
    assert said["total_return"] == 0.0
    assert (tmp_path / "trades.csv").read_text() == "ts,symbol,side,qty,price,fee,slippage,reason\n"


def test_the_digest_follows_what_the_result_follows_from(lake):
    assert run(lake).digest == run(lake).digest
    assert run(lake).digest != run(lake, "backtest.fees.taker=0").digest
    assert run(lake).digest != run(lake, "fast=4").digest


def test_two_runs_of_one_name_get_two_folders(tmp_path):
    first = new_folder(tmp_path / "runs", "now-btc")
    second = new_folder(tmp_path / "runs", "now-btc")
    assert (first.name, second.name) == ("now-btc", "now-btc-2")


def test_a_place_that_cannot_be_written_is_said(lake, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write results to .*--out DIR"):
        run(lake).write(tmp_path / "file" / "out")
    with pytest.raises(DataError, match=r"cannot write results to .*--out DIR"):
        new_folder(tmp_path / "file", "x")


def test_a_full_disk_is_said_in_the_system_s_words(lake, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device (os error 28)")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(DataError, match=r"\(No space left on device \(os error 28\)\)"):
        run(lake).write(tmp_path / "out")


def test_a_write_that_ends_half_way_leaves_the_older_files_whole(lake, tmp_path, monkeypatch):
    out, other = tmp_path / "out", run(lake, "fast=3")
    run(lake).write(out)
    before = {name: (out / name).read_bytes() for name in FILES}
    whole = Path.write_text

    def half(path: Path, text: str, **how: object) -> None:
        whole(path, text[: len(text) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(DataError, match="No space left"):
        other.write(out)
    with pytest.raises(DataError, match="No space left"):
        other.write(tmp_path / "new")
    for name in ("metrics.json", "config.json", "data.json"):
        assert (out / name).read_bytes() == before[name]
        assert not (tmp_path / "new" / name).exists()


def test_a_damaged_file_of_the_lake_is_named(tmp_path):
    made = Lake(tmp_path / "lake")
    bars = makers.hourly("BTC-BRL", [100.0] * 300).with_columns(interval=pl.lit("1h"))
    made.write("ohlcv", bars, source="test", now_ns=10**18)
    (path,) = made.files("BTC-BRL", "1h")
    os.truncate(path, 900)
    with pytest.raises(Unreadable, match=path.name):
        run(made)


def test_a_result_shows_what_it_is_and_its_numbers(lake):
    result = run(lake)
    shown = repr(result)
    assert shown.startswith("BacktestResult(crossover_btc: BTC-BRL, 300 bars of 1h, total_return ")
    assert f"trades {result.metrics['trades']}" in shown
    assert "None" not in shown
