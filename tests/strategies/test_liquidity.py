from __future__ import annotations

import makers
import numpy as np
import polars as pl

from cq import signals
from cq.strategies import KINDS, Liquidity, Strategy


def market(volumes, symbol="A-B"):
    closes = [10.0] * len(volumes)
    return makers.hourly(symbol, closes).with_columns(volume=pl.Series(volumes, dtype=pl.Float64))


def passed(bars, signal=1, *, together=False, **parameters):
    frame = bars.lazy().with_columns(signal=pl.lit(signal, pl.Int8))
    found = Liquidity(**parameters).filtered(frame, together=together).collect()
    assert "__cq_liquid" not in found.columns
    return found["signal"].to_list()


def test_a_market_that_turns_over_too_little_is_left():
    volumes = [1, 3, 5, 5, 0, 0]
    assert passed(market(volumes), min_turnover=30, window=2) == [None, 0, 1, 1, 0, 0]


def test_a_market_in_which_nobody_trades_is_left():
    volumes = [9, 0, 9, 9, 0, 0]
    assert passed(market(volumes), -1, min_active=1.0, window=2) == [None, 0, 0, -1, 0, 0]


def test_no_signal_stays_none():
    assert passed(market([9] * 3), None, window=1) == [None] * 3


def test_the_filter_is_that_of_a_loop():
    volumes = np.random.default_rng(1).integers(0, 4, 200).astype(float)
    found = passed(market(volumes), min_turnover=14, min_active=0.7, window=7)
    for now in range(6, 200):
        seen = volumes[now - 6 : now + 1]
        assert found[now] == int((10 * seen).mean() >= 14 and (seen > 0).mean() >= 0.7)


def test_one_leg_stops_the_other_and_a_third_market_has_no_say():
    bars = pl.concat([market([9, 9, 9], "A-B"), market([9, 0, 9], "C-D"), market([0] * 3, "E-F")])
    frame = bars.lazy().with_columns(
        signal=pl.when(pl.col("symbol") != "E-F").then(1).cast(pl.Int8)
    )
    found = Liquidity(min_turnover=1, window=1).filtered(frame, together=True).collect()
    signal = found["signal"].to_list()
    assert signal == [1, 0, 1, 1, 0, 1, None, None, None]


def test_a_strategy_with_it_needs_its_window_and_reads_volumes():
    of = KINDS["crossover"]
    config = of.config(
        symbols=["A-B"], interval="1h", fast=2, slow=3, liquidity={"window": 50, "min_turnover": 1}
    )
    strategy = Strategy(config, of.generate_signals)
    assert (strategy.warmup, strategy.reads_all) == (50, True)
    rows = signals.targets(market([1.0] * 60).lazy(), strategy).collect()
    assert rows["signal"].null_count() == 49
