"""`cq stats`, as typed."""

import json

import numpy as np
import polars as pl
import pytest

from cq.cli.main import run
from cq.lake import Lake
from cq.utils.time import DAY, parse_time


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(7)
    market, lake = random.normal(0, 0.02, 90), Lake(tmp_path / "lake")
    for symbol in ("BTC-BRL", "ETH-BRL", "USDT-BRL"):
        close = 100 * np.exp(np.cumsum(market + random.normal(0, 0.01, 90)))
        rows = pl.DataFrame({"ts": parse_time("2024-01-01") + np.arange(90) * DAY, "close": close})
        lake.write(
            "ohlcv",
            rows.with_columns(
                open="close",
                high="close",
                low="close",
                volume=pl.lit(1.0),
                symbol=pl.lit(symbol),
                exchange=pl.lit("x"),
                interval=pl.lit("1d"),
            ),
            source="test",
            now_ns=1,
        )
    return tmp_path


def test_it_shows_a_line_a_symbol_and_what_moves_together(project, capsys):
    assert run(["stats", "BTC-BRL", "ETH-BRL"]) == 0
    shown = capsys.readouterr().out
    assert "volatility" in shown
    assert "correlation of log returns (sample)" in shown
    assert "2024-03-30" in shown


@pytest.mark.parametrize("estimator", ["sample", "ledoit_wolf", "oas", "denoised"])
def test_correlations_come_by_every_estimator(project, capsys, estimator):
    command = ["stats", "BTC-BRL", "ETH-BRL", "USDT-BRL", "--estimator", estimator, "--json"]
    assert run(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["symbol"] for one in found["symbols"]] == ["BTC-BRL", "ETH-BRL", "USDT-BRL"]
    first = found["correlations"][0]
    assert first["BTC-BRL"] == pytest.approx(1)
    assert 0.5 < first["ETH-BRL"] < 1


def test_the_picture_is_drawn(project, capsys):
    assert run(["stats", "BTC-BRL", "ETH-BRL", "--heat-map", "map.png"]) == 0
    assert (project / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "drawn to map.png" in capsys.readouterr().err


def test_a_picture_of_one_symbol_or_in_no_folder_is_refused_in_a_line(project, capsys):
    assert run(["stats", "BTC-BRL", "--heat-map", "map.png"]) == 2
    assert "--heat-map needs two symbols or more" in capsys.readouterr().err
    assert run(["stats", "BTC-BRL", "ETH-BRL", "--heat-map", "no/map.png"]) == 3
    assert "cannot write no/map.png" in capsys.readouterr().err


def test_a_symbol_that_is_not_there_is_said(project, capsys):
    assert run(["stats", "BTC-BRX"]) == 3
    assert "did you mean BTC-BRL" in capsys.readouterr().err


def test_of_too_few_bars_it_says_how_many_the_period_holds(project, capsys):
    assert run(["stats", "BTC-BRL", "--since", "2024-03-29"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("cq: found 2 of the bars of BTC-BRL at 1d; expected at least three")
    assert "the lake holds" not in error


@pytest.mark.parametrize("until", ["2024-02-01", "2024-01-31"])
def test_a_period_that_ends_before_it_begins_is_refused_in_a_line(project, capsys, until):
    assert run(["stats", "BTC-BRL", "--since", "2024-02-01", "--until", until]) == 2
    assert capsys.readouterr().err == f"cq: --since 2024-02-01 is not before --until {until}\n"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_symbol_without_a_bar_in_the_period_is_said(project, capsys, form):
    assert run(["stats", "BTC-BRL", *form, "--since", "2030-01-01"]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("cq: no bars of BTC-BRL at 1d from 2030-01-01; ")
    assert shown.err.count("\n") == 1


def test_no_symbol_is_dropped_for_want_of_bars_in_the_period(project, capsys):
    lake = Lake(project / "lake")
    rows = lake.bars(["BTC-BRL"], "1d", parse_time("2024-03-01")).collect()
    young = rows.with_columns(symbol=pl.lit("SOL-BRL"), interval=pl.lit("1d"))
    lake.write("ohlcv", young, source="test", now_ns=1)
    assert run(["stats", "BTC-BRL", "SOL-BRL", "--until", "2024-02-01"]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("cq: no bars of SOL-BRL at 1d before 2024-02-01; ")


def test_correlations_are_shown_to_the_digits_that_stand_there(project, capsys):
    command = ["stats", "BTC-BRL", "ETH-BRL"]
    assert run([*command, "--json"]) == 0
    exact = json.loads(capsys.readouterr().out)["correlations"][0]["ETH-BRL"]
    assert run(command) == 0
    assert f"{exact:.4f}" in capsys.readouterr().out
    assert f"{exact:.4f}" != f"{round(exact, 3):.4f}"
