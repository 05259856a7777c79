"""`cq check lookahead` and `cq check warmup`, as typed."""

import json
from pathlib import Path

import pytest
from planted_leaks import LEAKS

from cq.cli.main import run
from cq.lake import Lake
from cq.sim.market import GeneratedMarket
from cq.utils.time import DAY, parse_time

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "configs/strategies").glob("*.yaml"))
START = parse_time("2024-01-01")

OWN = """
import polars as pl
from cq.indicators import CLOSE, in_time_order, sma
from cq.strategies import StrategyConfig


class Config(StrategyConfig):
    @property
    def warmup(self):
        return {warmup}


def generate_signals(bars, config):
    feature = in_time_order({feature})
    return bars.with_columns(feature=feature).with_columns(
        signal=(pl.col("feature") > CLOSE).cast(pl.Int8)
    )
"""


PLANTED = """
from planted_leaks import LEAKS
from cq.strategies import StrategyConfig


class Config(StrategyConfig):
    @property
    def warmup(self):
        return 24


def generate_signals(bars, config):
    return LEAKS["{name}"](bars)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").mkdir()
    (folder / "configs/default.yaml").touch()
    market = GeneratedMarket(START, START + 60 * DAY)
    lake = Lake(folder / "lake")
    for symbol in ("BTC-BRL", "ETH-BRL", "SOL-BRL"):
        bars = market.candles(symbol, "1h", market.start_ns, market.end_ns)
        lake.write("ohlcv", bars, source="test", now_ns=market.end_ns)
    return folder


@pytest.fixture
def own(project, monkeypatch):
    monkeypatch.chdir(project)

    def made(feature, warmup=24):
        (project / "own.py").write_text(OWN.format(feature=feature, warmup=warmup))
        (project / "own.yaml").write_text(
            "python: own.py\nsymbols: [BTC-BRL, SOL-BRL]\ninterval: 1h\n"
        )
        return "own.yaml"

    return made


@pytest.mark.parametrize("file", SHIPPED, ids=lambda one: one.stem)
@pytest.mark.parametrize("what", ["lookahead", "warmup"])
def test_no_shipped_strategy_is_accused(project, monkeypatch, file, what, capsys):
    monkeypatch.chdir(project)
    assert run(["check", what, str(file), "--looks", "4"]) == 0
    assert file.stem in capsys.readouterr().out


def test_look_ahead_ends_in_exit_code_1_with_the_column_and_the_first_bar(own, capsys):
    assert run(["check", "lookahead", own("CLOSE.shift(-1)")]) == 1
    shown = capsys.readouterr()
    assert "shift(-1) takes later rows" in shown.out
    assert "first bar at fault" in shown.out
    assert "own sees the future: feature of BTC-BRL at 2024-01-01T00:00:00Z is" in shown.err


@pytest.mark.parametrize("name", LEAKS)
def test_every_planted_leak_is_found(project, monkeypatch, name, capsys):
    monkeypatch.chdir(project)
    (project / "planted.py").write_text(PLANTED.format(name=name))
    (project / "planted.yaml").write_text(
        "python: planted.py\nsymbols: [BTC-BRL, SOL-BRL]\ninterval: 1h\n"
    )
    typed = ["check", "lookahead", "planted.yaml", "--end", "2024-01-01T14:00", "--looks", "3"]
    assert run(typed) == 1
    assert "planted sees the future: " in capsys.readouterr().err


def test_look_ahead_that_the_bars_do_not_show_is_suspected_all_the_same(own, capsys):
    assert run(["check", "lookahead", own("CLOSE + 0 * CLOSE.max()"), "--looks", "2"]) == 1
    shown = capsys.readouterr().err
    assert "own may see the future (column feature: the max of a whole column" in shown


def test_both_tell_everything_as_json(own, capsys):
    assert run(["check", "lookahead", own("CLOSE.shift(-1)"), "--json", "--looks", "3"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {one["column"] for one in told["leaks"]} == {"feature", "signal", "target"}
    assert told["leaks"][0]["time"] == "2024-01-01T00:00:00Z"
    assert run(["check", "warmup", own("sma(CLOSE, 24)"), "--json", "--looks", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["bars"] for one in told["histories"]} == {24, 48, 96}


def test_a_warmup_that_is_too_short_ends_in_exit_code_1(own, capsys):
    assert run(["check", "warmup", own("sma(CLOSE, 24)", warmup=10)]) == 1
    shown = capsys.readouterr()
    assert "own needs more than its warmup of 10 bars: signal of" in shown.err
    assert "largest difference" in shown.out


@pytest.mark.parametrize("command", [["check", "warmup"], ["check", "lookahead"], ["features"]])
def test_what_a_backtest_refuses_below_backtest_is_refused_as_early(project, own, command, capsys):
    file = project / own("sma(CLOSE, 24)")
    file.write_text(file.read_text() + "backtest:\n  csh: 5\n")
    assert run([*command, "own.yaml"]) == 2
    assert capsys.readouterr().err.startswith("cq: own.yaml:5: backtest.csh: ")


def test_a_period_without_bars_and_a_file_that_is_not_there_are_said(own, capsys):
    assert run(["check", "lookahead", own("CLOSE"), "--start", "2030-01-01"]) == 3
    assert "no bars of BTC-BRL, SOL-BRL" in capsys.readouterr().err
    assert run(["check", "warmup", "nowhere.yaml"]) == 3
    assert "no such file: nowhere.yaml" in capsys.readouterr().err
