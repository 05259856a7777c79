"""`cq lake diff` and `cq lake fingerprint`, as typed."""

import json

import polars as pl
import pytest

from cq.cli.main import run
from cq.lake import Lake
from cq.utils.time import HOUR, parse_time

START = parse_time("2024-01-01")


def hourly(count, close=2.5):
    return pl.DataFrame({"ts": START + pl.int_range(count, eager=True) * HOUR}).with_columns(
        open=pl.lit(2.0), high=pl.lit(3.0), low=pl.lit(1.0), close=pl.lit(close),
        volume=pl.lit(1.0), symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"), interval=pl.lit("1h"),
    )  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.chdir(tmp_path)
    for name, count in (("lake", 48), ("other", 47)):
        Lake(tmp_path / name).write("ohlcv", hourly(count), source="test", now_ns=1)
    return tmp_path


def test_two_lakes_that_differ_end_in_1_and_say_where(project, capsys):
    assert run(["lake", "diff", "lake", "other"]) == 1
    shown = capsys.readouterr()
    assert "2024-01-02" in shown.out
    assert "only in A: ts 2024-01-02T23:00:00Z" in shown.out
    assert "lake and other differ in 1 rows" in shown.err
    assert run(["lake", "diff", "lake", "other", "--until", "2024-01-02", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []
    assert run(["lake", "diff", "other", "lake", "--json"]) == 1
    (day,) = json.loads(capsys.readouterr().out)["differences"]
    assert (day["only_in_b"], day["rows_a"], day["rows_b"]) == (1, 23, 24)


def test_a_fingerprint_is_kept_and_compared_later(project, capsys):
    assert run(["lake", "fingerprint", "BTC-BRL", "--interval", "1h", "--out", "btc.json"]) == 0
    assert "48 rows in 1 files, digest " in capsys.readouterr().out
    assert run(["lake", "diff", "btc.json", "lake"]) == 0
    assert run(["lake", "diff", "lake", "btc.json", "--json"]) == 0
    assert run(["lake", "diff", "btc.json", "other"]) == 1
    assert "no longer at hand" in capsys.readouterr().err
    assert run(["lake", "diff", "btc.json", "other", "--since", "2024-01-03"]) == 0
    assert run(["lake", "diff", "btc.json", "lake", "--dataset", "ohlcv"]) == 2
    assert run(["lake", "fingerprint", "--out", "no/such/folder.json"]) == 3
    capsys.readouterr()
    assert run(["lake", "fingerprint", "BTC-BLR"]) == 3
    assert "BTC-BLR" in capsys.readouterr().err


def test_nothing_lies_before_the_year_1(project, capsys):
    until = ["--until", "0001-01-01"]
    assert run(["lake", "fingerprint", *until]) == 0
    assert "0 rows in 0 files" in capsys.readouterr().out
    assert run(["lake", "diff", "lake", "lake", *until]) == 0


def test_what_is_neither_lake_nor_fingerprint_is_said(project, capsys):
    (project / "empty").mkdir()
    assert run(["lake", "diff", "empty", "lake"]) == 3
    assert "no lake, no fingerprint and no run" in capsys.readouterr().err
    assert run(["lake", "diff", "lake", "nowhere"]) == 3


def test_a_symbol_of_two_exchanges_is_told_apart(project, capsys):
    other = hourly(24).with_columns(exchange=pl.lit("y"))
    Lake(project / "lake").write("ohlcv", other, source="test", now_ns=1)
    asked = ["lake", "fingerprint", "BTC-BRL", "--interval", "1h"]
    assert run(asked) == 3
    assert "for a command --exchange x" in capsys.readouterr().err
    assert run([*asked, "--exchange", "y", "--json"]) == 0
    (series,) = json.loads(capsys.readouterr().out)["series"]
    assert (series["exchange"], series["rows"]) == ("y", 24)


@pytest.mark.parametrize("named", [["--symbol", "BTC-BR"], ["--interval", "4h"]])
def test_a_name_that_neither_side_has_is_refused(project, capsys, named):
    assert run(["lake", "fingerprint", "BTC-BRL", "--interval", "1h", "--out", "btc.json"]) == 0
    for sides in (["lake", "other"], ["btc.json", "other"], ["btc.json", "btc.json"]):
        assert run(["lake", "diff", *sides, *named]) == 3
        assert f"{named[1]} here" in capsys.readouterr().err
    Lake(project / "other").write(
        "ohlcv", hourly(2).with_columns(symbol=pl.lit("BTC-BR"), interval=pl.lit("4h")),
        source="test", now_ns=1,
    )  # fmt: skip
    assert run(["lake", "diff", "lake", "other", *named]) == 1
