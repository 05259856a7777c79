"""`cq metrics` as a user meets it."""

from __future__ import annotations

import json

from cq.backtest.definitions import LUCK, METRICS
from cq.cli.main import run


def test_every_metric_is_listed_with_what_it_means(capsys):
    assert run(["metrics", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in said] == [one.name for one in (*METRICS, *LUCK)]
    assert all(set(said[0]) == set(one) for one in said)
    assert run(["metrics"]) == 0
    table = capsys.readouterr().out
    assert "sortino" in table
    assert "Calmar ratio" in table


def test_one_metric_is_told_in_full(capsys):
    assert run(["metrics", "sortino"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("sortino: Sortino ratio\n")
    assert "target 0" in said
    assert run(["metrics", "sortino", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "ratio"


def test_a_mistyped_one_is_told_its_neighbour(capsys):
    assert run(["metrics", "sharp"]) == 2
    assert "'sharp' is not a metric; did you mean 'sharpe'?" in capsys.readouterr().err
