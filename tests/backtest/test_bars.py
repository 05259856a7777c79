from __future__ import annotations

import makers
import polars as pl

from cq.backtest.bars import Period, bars_of
from cq.lake import Lake
from cq.signals import targets
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
symbols: [A-B, C-B, E-B]
interval: 1h
features:
  place: {use: rank, of: close}
  usual: {use: sma, of: place, window: 6}
"""


def test_the_first_bars_of_a_period_are_compared_as_all_of_history_is(tmp_path):
    (tmp_path / "comparing.py").write_text(COMPARING)
    (tmp_path / "comparing.yaml").write_text(COMPARED)
    strategy, lake = load(tmp_path / "comparing.yaml"), Lake(tmp_path / "lake")
    often = makers.hourly("A-B", [100.0 + n * 7 % 40 for n in range(300)])
    seldom = makers.hourly("C-B", [100.0 + n * 11 % 30 for n in range(300)]).gather_every(9)
    ended = makers.hourly("E-B", [110.0] * 20)
    rows = pl.concat([often, seldom, ended]).with_columns(interval=pl.lit("1h"))
    lake.write("ohlcv", rows, source="test", now_ns=2 * 10**18)
    symbols, inside = ("A-B", "C-B", "E-B"), pl.col("ts") >= 200 * makers.HOUR
    history = strategy.warmup - 1
    some = bars_of(lake, symbols, strategy, Period(200 * makers.HOUR), history)
    whole = bars_of(lake, symbols, strategy, Period(), history)
    found, expected = (targets(one, strategy).collect().filter(inside) for one in (some, whole))
    assert found.equals(expected)
    assert expected["signal"].n_unique() == 2
    read = some.select(pl.col("ts").min().over("symbol").unique()).collect()
    assert read.height < 4
    assert some.filter(pl.col("symbol") == "A-B").select(pl.len()).collect().item() < 200
