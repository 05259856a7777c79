from __future__ import annotations

import makers
import polars as pl
import pytest
import talib

from cq.strategies.crossover import CrossoverConfig, generate_signals

BASE = {"symbols": ["A-B"], "interval": "1h"}


def signals(closes, **parameters):
    config = CrossoverConfig(**BASE, **parameters)
    frame = generate_signals(makers.hourly("A-B", closes).lazy(), config).collect()
    return frame["signal"].to_list()


def test_the_position_follows_the_faster_average():
    assert signals([1.0, 1.0, 2.0, 3.0, 1.0, 0.5], fast=1, slow=2) == [None, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("average", ["sma", "ema"])
def test_a_flat_market_is_never_held(average):
    closes = [0.1] * 500
    found = signals(closes, fast=7, slow=30, average=average)
    assert found == [None] * 29 + [0] * 471


def test_the_exponential_cross_is_talibs():
    closes = pl.Series([1.0, 2.0, 3.0, 2.0, 1.0, 4.0, 9.0, 2.0, 1.0, 1.0, 5.0, 6.0]).to_numpy()
    fast, slow = talib.EMA(closes, 2), talib.EMA(closes, 4)
    found = signals(closes.tolist(), fast=2, slow=4, average="ema")
    assert found[:3] == [None] * 3
    assert found[3:] == [int(a > b) for a, b in zip(fast[3:], slow[3:], strict=True)]


def test_an_exponential_average_needs_a_longer_history():
    assert CrossoverConfig(**BASE, average="sma").warmup == 30
    assert CrossoverConfig(**BASE, average="ema").warmup == 600


@pytest.mark.parametrize("average", ["sma", "ema"])
def test_with_shorts_the_side_is_that_of_the_faster_average_and_a_tie_is_none(average):
    closes = [1.0, 1.0, 2.0, 3.0, 1.0, 0.5, 0.4]
    found = signals(closes, fast=1, slow=2, average=average, shorts=True)
    assert found[:6] == [None, 0, 1, 1, -1, -1]
    assert signals([0.1] * 9, fast=2, slow=3, average=average, shorts=True)[2:] == [0] * 7
