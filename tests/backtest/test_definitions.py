"""Each metric says what it is; docs/metrics.md says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from cq.backtest.definitions import BY_NAME, DEFINITIONS, LUCK, METRICS, Unit
from cq.backtest.show import BRIEF, FORMS, text

DOCS = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def test_there_are_many_and_no_name_or_label_is_given_twice():
    assert len(METRICS) >= 40
    every = [*METRICS, *LUCK]
    assert len({one.name for one in every}) == len({one.label for one in every}) == len(every)
    assert set(DEFINITIONS) == {one.name for one in METRICS}


def test_each_says_its_unit_formula_and_source():
    for one in BY_NAME.values():
        assert one.unit in get_args(Unit)
        assert one.formula
        assert one.source


def test_the_specs_seven_are_there():
    seven = [
        "total_return",
        "annualized_return",
        "sharpe",
        "max_dd",
        "hit_rate",
        "payoff",
        "turnover",
    ]
    assert set(seven) <= set(BY_NAME)


def test_the_page_of_metrics_is_the_codes():
    lines = [
        f"| `{one.name}` | {one.label} | {one.unit} | {one.formula.replace('|', chr(92) + '|')} | "
        f"{one.convention} | {one.source} |"
        for one in (*METRICS, *LUCK)
    ]
    assert re.findall(r"^\| `.*$", DOCS, flags=re.MULTILINE) == lines


def test_each_unit_can_be_printed():
    assert set(FORMS) == set(get_args(Unit))
    assert text("sharpe", None) == "–"
    assert text("sharpe", 1.234) == "1.23"
    assert text("max_dd_days", 3.5) == "3.50 d"
    assert text("trades", 12_345) == "12,345"
    assert set(BRIEF) <= set(BY_NAME)
