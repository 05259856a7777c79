"""What docs/engine.md works out by hand is what the engine does, by every way of computing it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml

from cq.backtest.engine import simulate
from cq.backtest.market import Fine, Market
from cq.backtest.single import rules_of
from cq.strategies import FixedFraction, Strategy, StrategyConfig
from cq.utils.config import defaults

PROJECT = Path(__file__).parents[1]
HOUR = 3_600_000_000_000
TEXT = (PROJECT / "docs" / "engine.md").read_text().partition("## Worked by hand")[2]
SCENARIOS = [yaml.safe_load(one) for one in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


class Config(StrategyConfig):
    symbols: tuple[str, ...] = ("A-B",)
    interval: str = "1h"
    warmup: ClassVar[int] = 1


def rules(said):
    free = {
        "cash": 1_000.0, "min_notional": 0.0, "fees": {"taker": 0.0, "maker": 0.0},
        "slippage": {"bps": 0.0},
    }  # fmt: skip
    config = Config(
        orders=said.get("orders", {}),
        sizing=FixedFraction(**said.get("sizing", {})),
        backtest=said.get("backtest", {}),
    )
    strategy = Strategy(config, lambda bars, _: bars)
    plain = Strategy(config.model_copy(update={"backtest": free}), lambda bars, _: bars)
    return rules_of(strategy, strategy.backtest(plain.backtest(defaults(PROJECT).backtest)))


def market(said):
    rows = np.array([[math.nan if x is None else x for x in bar] for bar in said["bars"]], float)
    fraction = said.get("sizing", {}).get("fraction", 1.0)
    columns = dict(zip(("open", "high", "low", "close", "volume"), rows.T, strict=False))
    fine = None
    if "fine" in said:
        lengths = np.array([len(said["fine"].get(i, [])) for i in range(len(rows))])
        ends = np.cumsum(lengths)
        prices = np.array([one for bar in said["fine"].values() for one in bar], float)
        fine = Fine(ends - lengths, ends, *prices.T)
    ts = np.arange(len(rows), dtype=np.int64) * HOUR
    return Market("A-B", ts, target=rows[:, 5] * fraction, fine=fine, **columns)


@pytest.mark.parametrize("by", ["auto", "python", "machine"])
@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_a_scenario_ends_as_worked_by_hand(number, by):
    said = SCENARIOS[number]
    made = simulate([market(said)], rules(said), 0, by=by)
    found = [(one.ts // HOUR, one.side, one.reason) for one in made.fills]
    assert found == [(one[0], one[1], one[5]) for one in said["trades"]]
    for place, name in ((2, "qty"), (3, "price"), (4, "fee")):
        ours = [getattr(one, name) for one in made.fills]
        assert ours == pytest.approx([one[place] for one in said["trades"]], abs=1e-9), name
    if "cash" in said:
        assert made.account.cash == pytest.approx(said["cash"], abs=1e-9)


def test_there_are_enough_of_them():
    assert len(SCENARIOS) > 15
