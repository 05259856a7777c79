"""What docs/backtest.md shows runs as it stands there."""

from __future__ import annotations

import math
import re
from pathlib import Path

import makers
import polars as pl
import pytest

from cq import backtest, signals
from cq.cli.main import run
from cq.lake import Lake
from cq.project import create
from cq.strategies import load
from cq.utils.config import defaults

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "docs" / "backtest.md").read_text()
HOUR = makers.HOUR


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
    return [body for named, body in found if named == language]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    create(folder)
    lake = Lake(folder / "lake")
    first = 1_601_510_400 * 10**9
    for symbol in ("BTC-BRL", "ETH-BRL", "BTC-USDT", "ETH-USDT"):
        closes = [100 * math.exp(math.sin(i / 200) / 3 + i / 9e4) for i in range(9_000)]
        bars = makers.hourly(symbol, closes, start=first).with_columns(interval=pl.lit("1h"))
        lake.write("ohlcv", bars, source="test", now_ns=2 * 10**18)
    return folder


def test_every_command_runs(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    commands = [line for block in blocks("") for line in block.splitlines()]
    assert len(commands) > 5
    for command in commands:
        words = command.partition("#")[0].split()
        assert words[:2] == ["cq", "backtest"]
        assert run([*words[1:], "--no-report"]) == 0, command


def test_a_users_own_strategy_runs_as_shown_and_sees_no_future(tmp_path, project):
    code = next(one for one in blocks("python") if one.startswith("# breakout.py"))
    setup = next(one for one in blocks("yaml") if one.startswith("# breakout.yaml"))
    (tmp_path / "breakout.py").write_text(code)
    (tmp_path / "breakout.yaml").write_text(setup)
    strategy = load(tmp_path / "breakout.yaml")
    lake = Lake(project / "lake")
    result = backtest.run(lake, strategy, defaults(PROJECT).backtest)
    assert result.metrics["trades"] > 2
    bars = lake.bars("BTC-BRL", "1h").collect()
    whole = signals.targets(bars.lazy(), strategy).collect()
    part = signals.targets(bars.head(4_000).lazy(), strategy).collect()
    assert whole.head(4_000).equals(part)


def test_the_strategy_file_shown_is_accepted(tmp_path):
    shown = next(one for one in blocks("yaml") if "kind: crossover" in one)
    (tmp_path / "mine.yaml").write_text(shown)
    strategy = load(tmp_path / "mine.yaml")
    assert strategy.backtest(defaults(PROJECT).backtest).fees.taker == 0.003


def test_the_python_example_runs(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    code = next(one for one in blocks("python") if "cq.backtest(" in one)
    exec(compile(code, "docs/backtest.md", "exec"), {})
    assert "shape:" in capsys.readouterr().out
