"""A user's own strategy is looked at as live trading would see it."""

import pytest

from cq import backtest
from cq.lake import Lake
from cq.sim.market import GeneratedMarket
from cq.strategies import load
from cq.utils.config import defaults
from cq.utils.time import DAY, parse_time

START = parse_time("2025-01-01")
SYMBOLS = ("BTC-BRL", "SOL-BRL")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("hindsight") / "lake")
    market = GeneratedMarket(START, START + 20 * DAY)
    for symbol in SYMBOLS:
        bars = market.candles(symbol, "1h", market.start_ns, market.end_ns)
        made.write("ohlcv", bars, source="test", now_ns=market.end_ns)
    return made


def result_of(lake, tmp_path, signal, warmup=24):
    (tmp_path / "mine.py").write_text(
        "import polars as pl\n"
        "from cq.indicators import CLOSE, in_time_order, sma\n"
        "from cq.strategies import StrategyConfig\n"
        "class Config(StrategyConfig):\n"
        "    @property\n"
        f"    def warmup(self): return {warmup}\n"
        "def generate_signals(bars, config):\n"
        f"    return bars.with_columns(signal=in_time_order(({signal}).cast(pl.Int8)))\n"
    )
    path = tmp_path / "mine.yaml"
    path.write_text("python: mine.py\nsymbols: [BTC, SOL]\ninterval: 1h\nsizing: {fraction: 0.5}\n")
    said = []
    result = backtest.run(lake, load(path), defaults(tmp_path).backtest, say=said.append)
    assert [f"warning: {one}" for one in result.config["warnings"]] == said
    return said


def test_an_honest_strategy_is_left_in_peace(lake, tmp_path):
    assert result_of(lake, tmp_path, "CLOSE > sma(CLOSE, 24)") == []


@pytest.mark.parametrize("warmup", [24, 200, 1000])
def test_what_is_decided_before_so_many_bars_are_there_is_no_hindsight(lake, tmp_path, warmup):
    assert result_of(lake, tmp_path, "CLOSE > CLOSE.shift(1)", warmup) == []


@pytest.mark.parametrize(
    "signal",
    [
        "CLOSE.shift(-2) > CLOSE",
        "CLOSE > CLOSE.mean()",
        "CLOSE > CLOSE.rolling_mean(5, center=True)",
        "CLOSE < CLOSE.max() * 0.98",
    ],
)
def test_a_strategy_that_sees_the_future_is_found_out(lake, tmp_path, signal):
    (said,) = result_of(lake, tmp_path, signal)
    assert "sees the future" in said
    assert "mine.py: at 2025-01-" in said


def test_a_warmup_that_is_too_short_is_found_out(lake, tmp_path):
    (said,) = result_of(lake, tmp_path, "CLOSE > sma(CLOSE, 24)", warmup=10)
    assert "its warmup is too short" in said


def test_history_that_never_stops_to_matter_is_found_out(lake, tmp_path):
    (said,) = result_of(lake, tmp_path, "CLOSE > CLOSE.cum_max() * 0.95", warmup=5)
    assert "over the 5 bars until then" in said
