from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest
import talib
from pydantic import ValidationError

from cq.strategies.macd import MacdConfig, generate_signals

BASE = {"symbols": ["A-B"], "interval": "1h"}
PERIODS = {"fast": 5, "slow": 12, "signal": 4}


def walk(size=600, seed=3, deviation=0.01):
    rng = np.random.default_rng(seed)
    return np.round(100 * np.exp(np.cumsum(rng.normal(0, deviation, size))), 8)


def signals(closes, **parameters):
    config = MacdConfig(**BASE, **parameters)
    frame = generate_signals(makers.hourly("A-B", list(closes)).lazy(), config).collect()
    return frame["signal"].to_list()


def talibs(closes):
    return talib.MACD(closes, 5, 12, 4)[2]


def test_the_position_is_where_talibs_histogram_is_above_zero():
    closes = walk()
    hist = talibs(closes)
    expected = [None if np.isnan(h) else int(h > 0) for h in hist]
    assert signals(closes, **PERIODS) == expected
    shorts = [None if np.isnan(h) else int(np.sign(h)) for h in hist]
    assert signals(closes, **PERIODS, shorts=True) == shorts


def test_the_filters_are_those_of_a_slow_loop():
    closes = walk()
    logs = np.diff(np.log(closes), prepend=np.nan)
    expected = []
    for now, h in enumerate(talibs(closes)):
        if now < 30:
            expected.append(None)
            continue
        mean = closes[now - 29 : now + 1].mean()
        year = logs[now - 19 : now + 1].std(ddof=1) * np.sqrt(8_760)
        calm = 0.8 <= year <= 1.0
        side = 1 if h > 0 and closes[now] > mean else -1 if h < 0 and closes[now] < mean else 0
        expected.append(side * calm)
    found = signals(
        closes, **PERIODS, trend=30, volatility_window=20,
        min_volatility=0.8, max_volatility=1.0, shorts=True,
    )  # fmt: skip
    assert found[30:] == expected[30:]
    assert set(found[30:]) == {-1, 0, 1}
    assert found[:29] == [None] * 29


@pytest.mark.parametrize("price", [0.1, 1e-8, 350_000.7])
def test_a_flat_market_is_never_held(price):
    assert set(signals([price] * 300, **PERIODS, shorts=True)) == {None, 0}


@pytest.mark.parametrize("scale", [1e-3, 8.0, 1e4])
def test_the_currency_decides_nothing(scale):
    closes = walk(300)
    assert signals(closes * scale, **PERIODS) == signals(closes, **PERIODS)


@pytest.mark.parametrize(
    "wrong", [{"fast": 26}, {"min_volatility": 2, "max_volatility": 1}, {"signal": 0}]
)
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        MacdConfig(**BASE, **wrong)


def test_the_warmup_is_that_of_what_looks_back_furthest():
    assert MacdConfig(**BASE).warmup == 20 * (26 + 9)
    assert MacdConfig(**BASE, trend=5_000).warmup == 5_000
    assert MacdConfig(**BASE, max_volatility=1, volatility_window=900).warmup == 901


def test_a_filter_that_is_not_warm_gives_no_signal():
    frame = pl.Series(signals(walk(100), **PERIODS, trend=60))
    assert frame.null_count() == 59
