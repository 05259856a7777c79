from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from refused import problem

from cq.errors import NoSuchFile, StrategyError
from cq.strategies import (
    KINDS,
    FixedFraction,
    StrategyConfig,
    VolatilityTarget,
    load,
    strategy_schema,
)
from cq.strategies.orders import Atr
from cq.utils.config import defaults
from cq.utils.resources import resource_root

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "configs" / "strategies").glob("*.yaml"))

GOOD = """\
kind: crossover
symbols: [BTC, ETH-USDT]
interval: 1h
fast: 5
slow: 20
sizing:
  kind: fixed_fraction
  fraction: 0.5
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    return path


def test_a_strategy_is_what_its_file_says(file):
    strategy = load(file)
    assert strategy.name == "mine"
    assert strategy.config.symbols == ("BTC", "ETH-USDT")
    assert (strategy.config.fast, strategy.config.slow) == (5, 20)
    assert strategy.config.sizing == FixedFraction(fraction=0.5)
    assert strategy.warmup == 20


def test_the_command_line_wins(file):
    strategy = load(file, ["fast=7", "symbols=sol-brl, BTC", "sizing.fraction=1", "name=other"])
    assert strategy.config.fast == 7
    assert strategy.config.symbols == ("SOL-BRL", "BTC")
    assert strategy.config.sizing.fraction == 1
    assert strategy.name == "other"


def test_another_kind_of_sizing_drops_the_parameters_of_the_first(file):
    strategy = load(file, ["sizing.kind=volatility_target", "sizing.window=48"])
    assert strategy.config.sizing == VolatilityTarget(window=48)
    assert strategy.warmup == 49
    other_way = load(file, ["sizing.window=48", "sizing.kind=volatility_target"])
    assert other_way.config == strategy.config


def test_the_kind_of_sizing_that_is_in_force_keeps_its_parameters(file):
    assert load(file, ["sizing.kind=fixed_fraction"]).config.sizing.fraction == 0.5
    file.write_text(GOOD.replace("  kind: fixed_fraction\n", ""))
    assert load(file, ["sizing.kind=fixed_fraction"]).config.sizing.fraction == 0.5


@pytest.mark.parametrize("kind", ["fixed_bps", "participation", "square_root"])
@pytest.mark.parametrize("first", [True, False])
def test_another_kind_of_slippage_keeps_what_it_looks_at(file, kind, first):
    file.write_text(GOOD + "backtest: {slippage: {participation: 0.2, bps: 30}}\n")
    said = [f"backtest.slippage.kind={kind}", "backtest.slippage.bps=50"]
    slippage = load(file, said if first else said[::-1]).config.backtest["slippage"]
    limited = {} if kind == "fixed_bps" else {"participation": 0.2}
    assert slippage == {"kind": kind, "bps": 50, **limited}


@pytest.mark.parametrize(
    ("slippage", "sets", "said"),
    [
        ("{participation: 0.2}", [], "mine.yaml:9: backtest.slippage.participation: slippage of"),
        ("{}", ["backtest.slippage.impact=2"], "--set backtest.slippage.impact: slippage of the"),
        ("{kind: half_spread, bps: 5}", [], "expected spread_bps, spread_ticks, or kind: fixed_bp"),
    ],
)
def test_what_slippage_of_another_kind_looks_at_is_refused(file, slippage, sets, said):
    file.write_text(GOOD + f"backtest: {{slippage: {slippage}}}\n")
    settings = defaults(resource_root()).backtest
    with pytest.raises(StrategyError, match=re.escape(said)):
        load(file, sets).backtest(settings)
    other = load(file, [*sets, "backtest.slippage.kind=square_root"])
    assert other.backtest(settings).slippage.kind == "square_root"


@pytest.mark.parametrize(
    "key",
    [
        *("orders.max_bars", "orders.cooldown_bars", "sizing.window", "backtest.slippage.window"),
        "backtest.fees.minimum",
    ],
)
def test_absurd_numbers_are_refused_in_a_line(file, key):
    kinds = ["sizing.kind=volatility_target", "backtest.slippage.kind=square_root"]
    said = f"--set {key}: found {10**23}, which should be less than or equal to 1000000000"
    with pytest.raises(StrategyError, match=re.escape(said)):
        load(file, [*kinds, f"{key}={10**23}"]).backtest(defaults(resource_root()).backtest)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sizing.kind=units", "mine.yaml:6: sizing.units: is missing"),
        ("sizing.fraction=0", "--set sizing.fraction: found 0, which should be greater than 0"),
        ("gate.threshold=1.5", "--set gate.threshold: Input should be less than or equal to 1"),
    ],
)
def test_a_mistake_on_the_command_line_is_named_there_by_its_key(file, override, said):
    file.write_text(GOOD.replace("  kind: fixed_fraction\n", ""))
    assert said in problem(file, override)


@pytest.mark.parametrize("first", [True, False])
def test_a_value_and_keys_below_it_are_not_both_said(file, first):
    said = ["orders.stop_loss=0.02", "orders.stop_loss.atr=1"]
    with pytest.raises(StrategyError) as error:
        load(file, said if first else said[::-1])
    assert str(error.value) == (
        "--set orders.stop_loss.atr: orders.stop_loss is set, too; take one of them"
    )
    both = load(file, ["orders.stop_loss={atr: 2}", "orders.stop_loss.window=5"])
    assert both.config.orders.stop_loss == Atr(atr=2, window=5)


def test_so_is_a_setting_of_backtests(file):
    with pytest.raises(StrategyError, match=r"^--set backtest.warmup: warmup must be a number"):
        load(file, ["backtest.warmup=0"]).backtest(defaults(PROJECT).backtest)


def test_what_stands_in_quotes_is_text(file):
    assert load(file, ['name="7"']).config.name == "7"


def test_a_mapping_may_stand_on_the_command_line(file):
    strategy = load(file, ["orders.stop_loss={atr: 2, window: 5}", "sizing={fraction: 0.25}"])
    assert strategy.config.orders.stop_loss == Atr(atr=2, window=5)
    assert strategy.config.sizing == FixedFraction(fraction=0.25)


def test_a_fraction_alone_is_a_fixed_one(file):
    file.write_text(GOOD.partition("sizing:")[0])
    assert load(file, ["sizing.fraction=0.25"]).config.sizing == FixedFraction(fraction=0.25)
    assert "sizing: `kind` is missing; there is fixed_fraction, " in problem(file, "sizing.units=1")


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("fast: 5", "fsat: 5", "mine.yaml:4: fsat: unknown key; did you mean fast?"),
        (
            "fast: 5",
            "sizing.fraction: 5",
            "mine.yaml:4: sizing.fraction: unknown key; levels are nested, "
            "write sizing: {fraction: …}",
        ),
        ("fast: 5", "fast: ten", "mine.yaml:4: fast: found 'ten', which should be a valid integer"),
        ("fast: 5", "fast: 20", "mine.yaml:4: fast (20) needs fewer bars than slow (20)"),
        ("  fraction: 0.5", "  fractoin: 1", "mine.yaml:8: sizing.fractoin: unknown key; did you"),
        ("  fraction: 0.5", "  fraction: 2", "mine.yaml:8: sizing.fraction: found 2, which should"),
        ("  kind: fixed_fraction", "  kind: all", "mine.yaml:6: sizing: found 'all', expected"),
        (
            "  kind: fixed_fraction\n  fraction: 0.5",
            "  kind: hedge_ratio",
            "hedge_ratio is for pairs",
        ),
        ("interval: 1h", "interval: 1x", "mine.yaml:3: interval: '1x' is not an interval"),
        ("interval: 1h\n", "", "mine.yaml: interval: is missing"),
        ("kind: crossover\n", "", "mine.yaml: kind: is missing; there is crossover"),
        ("kind: crossover", "kind: macdonald", "mine.yaml:1: kind: found 'macdonald'"),
        ("kind: crossover", "kind: [1]", "mine.yaml:1: kind: found [1]; there is crossover"),
        ("[BTC, ETH-USDT]", "[]", "mine.yaml:2: symbols: names no symbol"),
        ("[BTC, ETH-USDT]", "", "mine.yaml:2: symbols: names no symbol"),
        ("[BTC, ETH-USDT]", "[BTC, btc]", "mine.yaml:2: symbols: BTC stands there twice"),
        ("[BTC, ETH-USDT]", "[BTC/USDT]", "mine.yaml:2: symbols: 'BTC/USDT' is not a symbol"),
        ("slow: 20", "slow: 20\nslow: 21", "mine.yaml:6: slow stands here again"),
        ("kind: crossover", "kind: [", "is not YAML"),
        (GOOD, "just text", "expected keys with values"),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_key(file, line, instead, said):
    assert line in GOOD
    file.write_text(GOOD.replace(line, instead, 1))
    assert said in problem(file)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("fsat=3", "--set fsat: unknown key; did you mean fast?"),
        ("fast=30", "--set fast: fast (30) needs fewer bars than slow (20)"),
        ("fast", "--set fast: expected KEY=VALUE, such as fast=10"),
        ("sizing.rebalance=.inf", "--set sizing.rebalance: found"),
        ("sizing.fraction=x", "--set sizing.fraction: found 'x', which should be a valid number"),
    ],
)
def test_a_mistake_on_the_command_line_names_the_option(file, override, said):
    assert problem(file, override).startswith(said)


def test_a_missing_file_is_data_missing(tmp_path):
    with pytest.raises(NoSuchFile) as caught:
        load(tmp_path / "no.yaml")
    assert caught.value.exit_code == 3


def test_a_strategy_may_differ_from_the_settings_of_a_backtest(file):
    settings = defaults(PROJECT).backtest
    file.write_text(GOOD + "backtest:\n  fees: {taker: 0.001}\n")
    ours = load(file, ["backtest.cash=500"]).backtest(settings)
    assert (ours.fees.taker, ours.cash) == (0.001, 500)
    assert ours.fees.maker == settings.fees.maker
    assert load(file).backtest(settings).cash == settings.cash


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("  fees: {takr: 0}", "mine.yaml:10: backtest.fees.takr: unknown key; did you mean taker?"),
        ("  fill: soon", "mine.yaml:10: backtest.fill: found 'soon'"),
        ("  max_position: 2", "mine.yaml:10: max_position (2) must not exceed"),
    ],
)
def test_a_mistake_in_the_backtest_part_names_its_line(file, lines, said):
    file.write_text(GOOD + "backtest:\n" + lines + "\n")
    with pytest.raises(StrategyError, match=r"mine\.yaml:10") as caught:
        load(file).backtest(defaults(PROJECT).backtest)
    assert said in str(caught.value)


def test_a_configuration_without_its_warmup_cannot_be_made():
    class Silent(StrategyConfig):
        """Says no warm-up."""

    with pytest.raises(TypeError, match="warmup"):
        Silent(symbols=("BTC",), interval="1h")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda one: one.stem)
def test_every_shipped_strategy_loads_and_names_its_schema(path):
    assert load(path).name == path.stem
    assert path.read_text().startswith("# yaml-language-server: $schema=../strategy.schema.json\n")


def test_the_schema_knows_every_key_of_the_shipped_strategies():
    schema = strategy_schema()
    json.dumps(schema)
    kinds = {one["title"]: one for one in schema["anyOf"]}
    for path in SHIPPED:
        said = yaml.safe_load(path.read_text())
        assert set(said) <= set(kinds[said["kind"]]["properties"])
    assert set(KINDS) < set(kinds)
    crossover = kinds["crossover"]
    assert crossover["additionalProperties"] is False
    assert set(crossover["required"]) == {"symbols", "interval", "kind"}
    assert "required" not in crossover["properties"]["backtest"]


@pytest.mark.parametrize(
    ("more", "right"),
    [
        ("symbols: BTC", True),
        ("symbols: BTC,ETH", True),
        ("symbols: []", False),
        ("symbols: [BTC, BTC]", False),
        ("sizing: {fraction: 0.5}", True),
        ("sizing: {kind: volatility_target, window: 72}", True),
        ("sizing: {window: 72}", False),
        ("orders: {stop_loss: 0.5, take_profit: 1.5}", True),
        ("orders: {stop_loss: {atr: 2}}", True),
        ("orders: {stop_loss: 1.5}", False),
        ("orders: {take_profit: 10}", False),
        ("features: {r: {use: rsi}}", True),
        ("features: {r: {kind: rsi}}", False),
        ("backtest: {slippage: {bps: 3}}", True),
        ("python: level.py", False),
        ("kind: pairs\nsymbols: [BTC, ETH]", True),
        ("kind: pairs", False),
    ],
)
def test_the_schema_takes_what_is_taken_and_refuses_what_is_refused(tmp_path, more, right):
    from jsonschema import Draft202012Validator

    said = {"kind": "crossover", "symbols": ["BTC"], "interval": "1h"} | yaml.safe_load(more)
    assert Draft202012Validator(strategy_schema()).is_valid(said) is right
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(said))
    if right:
        load(file)
    else:
        with pytest.raises(StrategyError):
            load(file)


def test_every_key_of_a_strategy_is_described():
    schema = strategy_schema()
    parts = ["FixedFraction", "VolatilityTarget", "HedgeRatio", "KellyFraction"]
    parts += ["InverseVolatility", "Liquidity"]
    for part in [*schema["anyOf"], *(schema["$defs"][name] for name in parts)]:
        for key, said in part["properties"].items():
            assert key == "kind" or said.get("description"), key
