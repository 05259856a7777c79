"""`cq features` and `cq check warmup` where symbols are compared."""

from __future__ import annotations

import json

import makers
import polars as pl
import pytest

from cq.cli.main import run
from cq.lake import Lake
from cq.project import create
from cq.signals import with_targets
from cq.strategies import load

COMPARING = """
import polars as pl
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    warmup = property(lambda self: 1)

def generate_signals(bars, config):
    return bars.with_columns(signal=(pl.col("usual") > 0.5).cast(pl.Int8))
"""
COMPARED = """\
python: comparing.py
symbols: [AAA-BRL, BBB-BRL, CCC-BRL]
interval: 1h
features:
  place: {use: rank, of: close}
  usual: {use: sma, of: place, window: 6}
"""


@pytest.fixture
def bars(tmp_path, monkeypatch):
    """One market that is traded each hour, one each ninth, and one that ended."""
    monkeypatch.chdir(tmp_path)
    create(tmp_path)
    (tmp_path / "comparing.py").write_text(COMPARING)
    (tmp_path / "comparing.yaml").write_text(COMPARED)
    often = makers.hourly("AAA-BRL", [100.0 + n * 7 % 40 for n in range(300)])
    seldom = makers.hourly("BBB-BRL", [100.0 + n * 11 % 30 for n in range(300)])
    ended = makers.hourly("CCC-BRL", [100.0 + n * 5 % 60 for n in range(100)])
    rows = pl.concat([often, seldom.gather_every(9), ended]).with_columns(interval=pl.lit("1h"))
    Lake(tmp_path / "lake").write("ohlcv", rows, source="test", now_ns=2 * 10**18)
    return rows


def test_ranks_are_those_among_all_that_were_there_then(bars, capsys):
    assert run(["features", "comparing.yaml", "--tail", "9", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    whole = with_targets(bars.lazy(), load("comparing.yaml")).collect()
    assert len(shown) == 27
    for row in shown:
        same = whole.filter(pl.col("ts") == row["ts"], pl.col("symbol") == row["symbol"])
        assert same.select("place", "usual", "signal").row(0) == (
            row["place"], row["usual"], row["signal"],
        )  # fmt: skip


def test_the_warmup_that_a_comparison_says_is_enough_where_a_market_is_traded_seldom(bars, capsys):
    assert run(["check", "warmup", "comparing.yaml"]) == 0
    assert "usual" in capsys.readouterr().out
