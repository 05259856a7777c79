import re
from pathlib import Path

from cq.sim.switches import Switches
from cq.sim.trading_switches import TradingSwitches

PAGE = (Path(__file__).parents[2] / "docs" / "sim-trading.md").read_text(encoding="utf-8")


def test_every_switch_stands_in_the_page_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", PAGE, flags=re.MULTILINE))
    defaults = {
        name: str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        for name, field in TradingSwitches.model_fields.items()
    }
    assert {name: rows.get(name) for name in defaults} == defaults


def test_they_are_switches_of_the_exchange():
    assert issubclass(Switches, TradingSwitches)
    assert all(field.description for field in TradingSwitches.model_fields.values())
