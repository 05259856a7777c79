from __future__ import annotations

import comparing
import makers
import polars as pl

from cq.backtest.bars import Period, bars_of
from cq.lake import Lake
from cq.signals import targets


def test_the_first_bars_of_a_period_are_compared_as_all_of_history_is(tmp_path):
    symbols, inside = ("A-B", "C-B", "E-B"), pl.col("ts") >= 200 * makers.HOUR
    strategy, lake = comparing.strategy(tmp_path, symbols), Lake(tmp_path / "lake")
    lake.write("ohlcv", comparing.markets(*symbols), source="test", now_ns=2 * 10**18)
    history = strategy.warmup - 1
    some = bars_of(lake, symbols, strategy, Period(200 * makers.HOUR), history)
    whole = bars_of(lake, symbols, strategy, Period(), history)
    found, expected = (targets(one, strategy).collect().filter(inside) for one in (some, whole))
    assert found.equals(expected)
    assert expected["signal"].n_unique() == 2
    assert some.filter(pl.col("symbol") == "A-B").select(pl.len()).collect().item() < 200
