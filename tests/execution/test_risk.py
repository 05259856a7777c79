"""Rules say why not; they fail closed, and selling stays possible."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.execution.risk import (
    MaxDailyLoss,
    MaxGrossExposure,
    MaxPosition,
    Prospect,
    Rule,
    Rules,
    StaleData,
    StaleOrder,
    verdict,
)
from cq.utils.config import defaults

CALM = Prospect("BTC-BRL", 0.5, 0.0, 0.5, 1000.0, 1000.0, 0.0)
RULES: tuple[Rule, ...] = (StaleData(3), MaxPosition(0.5), MaxGrossExposure(0.8), MaxDailyLoss(0.1))


def test_what_keeps_every_limit_passes() -> None:
    assert verdict(RULES, CALM) is None


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        ({"age_bars": 3.5}, "stale_data", "3.5 intervals ago, more than live.stale_after_bars (3)"),
        ({"target": 0.6}, "max_position", "0.6 of equity in BTC-BRL"),
        ({"gross": 0.9}, "max_gross_exposure", "0.9 of equity in all"),
        ({"equity": 900.0}, "max_daily_loss", "lost 0.1 of its opening equity"),
        ({"day_equity": 0.0}, "max_daily_loss", "opening equity is 0"),
    ],
)
def test_each_limit_names_itself_and_its_reason(
    change: dict[str, float], name: str, said: str
) -> None:
    found = verdict(RULES, replace(CALM, **change))
    assert found is not None
    assert found[0] == name
    assert said in found[1]


@pytest.mark.parametrize("age", [0.0, 3.0])
def test_data_as_old_as_the_limit_are_fresh(age: float) -> None:
    assert StaleData(3).reason(replace(CALM, age_bars=age)) is None


def test_a_limit_itself_is_kept_not_broken() -> None:
    assert MaxPosition(0.5).reason(CALM) is None
    assert MaxGrossExposure(0.5).reason(CALM) is None


def test_rounding_of_the_last_bit_breaks_no_limit() -> None:
    assert MaxPosition(1.0).reason(replace(CALM, target=1 + 1e-15)) is None


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.sampled_from(["target", "held", "gross", "equity", "day_equity", "age_bars"]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.sampled_from(RULES),
)
def test_what_cannot_be_judged_is_not_bought(name: str, value: float, rule: Rule) -> None:
    prospect = replace(CALM, **{name: value})
    if not prospect.reduces:
        assert verdict((rule,), prospect) is not None


@given(numbers, numbers, numbers, numbers, numbers, numbers)
def test_no_number_makes_a_rule_raise(
    target: float, held: float, gross: float, equity: float, day: float, age: float
) -> None:
    found = verdict(RULES, Prospect("BTC-BRL", target, held, gross, equity, day, age))
    assert found is None or found[1]


@given(st.floats(0, 1), st.floats(0, 5), st.floats(1, 1000))
def test_a_position_can_always_be_reduced_while_prices_are_known(
    part: float, held: float, equity: float
) -> None:
    selling = Prospect("BTC-BRL", held * part, held, 9.0, equity, 1000.0, 0.0)
    assert verdict(RULES, selling) is None


def test_stale_data_stop_selling_too() -> None:
    selling = replace(CALM, target=0.0, held=0.5, age_bars=9.0)
    found = verdict(RULES, selling)
    assert found is not None
    assert found[0] == "stale_data"


def test_what_waited_through_a_silence_is_not_bought_but_sold() -> None:
    late = replace(CALM, age_bars=9.0)
    found = verdict((StaleOrder(3),), late)
    assert found is not None
    assert found[0] == "stale_data"
    assert verdict((StaleOrder(3),), replace(late, target=0.0, held=0.5)) is None
    assert verdict((StaleOrder(9),), late) is None


def test_stored_bars_are_never_stale(tmp_path: Path) -> None:
    live = defaults(tmp_path).live
    rules = Rules.of(live, replayed=True)
    late = replace(CALM, age_bars=9.0)
    assert verdict(rules.of_decisions, late) is verdict(rules.of_orders, late) is None
    assert verdict(Rules.of(live).of_orders, late) is not None


def test_an_account_without_equity_buys_nothing() -> None:
    found = verdict(RULES, replace(CALM, equity=0.0))
    assert found == ("stale_data", "cannot be judged: equity is 0")


def test_no_rules_stop_nothing() -> None:
    assert verdict((), replace(CALM, equity=math.nan)) is None
