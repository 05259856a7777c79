"""`cq features` and `cq check warmup` where symbols are compared."""

from __future__ import annotations

import json

import comparing
import polars as pl
import pytest

from cq.cli.main import run
from cq.lake import Lake
from cq.project import create
from cq.signals import with_targets
from cq.strategies import load

SYMBOLS = ("AAA-BRL", "BBB-BRL", "CCC-BRL")


@pytest.fixture
def bars(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create(tmp_path)
    comparing.strategy(tmp_path, SYMBOLS)
    rows = comparing.markets(*SYMBOLS)
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


def test_sizes_are_those_among_all_that_were_there_then(bars, tmp_path, capsys):
    (tmp_path / "sized.yaml").write_text(
        f"kind: crossover\nsymbols: [{', '.join(SYMBOLS)}]\ninterval: 1h\nfast: 1\nslow: 2\n"
        "sizing: {kind: inverse_volatility, window: 12}\n"
    )
    assert run(["features", "sized.yaml", "--tail", "9", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    whole = with_targets(bars.lazy(), load("sized.yaml")).collect()
    assert not any(name.startswith("__") for name in shown[0])
    for row in shown:
        same = whole.filter(pl.col("ts") == row["ts"], pl.col("symbol") == row["symbol"])
        assert same["target"].item() == row["target"]


def test_the_warmup_that_a_comparison_says_is_enough_where_a_market_is_traded_seldom(bars, capsys):
    assert run(["check", "warmup", "comparing.yaml"]) == 0
    assert "usual" in capsys.readouterr().out
