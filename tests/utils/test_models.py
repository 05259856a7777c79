"""Numbers of settings and strategies are numbers."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from cq.errors import ConfigError, StrategyError
from cq.strategies import load
from cq.utils.config import load as load_settings
from cq.utils.models import PlainNumbers, numbers_of

PROJECT = Path(__file__).parents[2]


class Model(PlainNumbers):
    whole: int = 1
    either: float | Literal["auto"] | None = None
    told: Annotated[float | None, Field(gt=0)] = None
    switch: bool = False
    both: bool | float = False
    anything: Any = None
    several: tuple[int, ...] = ()


def test_a_boolean_is_no_number_and_stands_where_one_is_meant():
    assert numbers_of(Model) == {"whole", "either", "told"}
    for name in ("whole", "either", "told"):
        with pytest.raises(ValidationError, match="Input should be a number"):
            Model(**{name: True})
    made = Model(switch=True, both=True, anything=True, whole=2, told=0.5)
    assert (made.switch, made.both, made.anything, made.whole, made.told) == (True,) * 3 + (2, 0.5)


@pytest.mark.parametrize(
    "said", ["fast=true", "sizing.fraction=yes", "orders.stop_loss=true", "liquidity.window=true"]
)
def test_a_strategy_takes_no_boolean_for_a_number(tmp_path, said):
    path = tmp_path / "cross.yaml"
    path.write_text("kind: crossover\nsymbols: [BTC]\ninterval: 1h\n")
    with pytest.raises(StrategyError) as error:
        load(path, [said])
    name = said.partition("=")[0]
    assert str(error.value) == f"--set {name}: found True, which should be a number"


def test_settings_take_no_boolean_for_a_number():
    with pytest.raises(ConfigError, match=r"--set backtest.cash: found True, but input should be"):
        load_settings(PROJECT, overrides=["backtest.cash=true"])
