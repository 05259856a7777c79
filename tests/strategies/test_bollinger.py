from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest

from cq.strategies.bollinger import BollingerConfig, generate_signals

BASE = {"symbols": ["A-B"], "interval": "1h", "window": 10, "k": 1.5, "max_bars": 12}


def market(size=900, seed=5):
    """Closes that wander, with wicks."""
    rng = np.random.default_rng(seed)
    closes = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, size))), 8)
    wick = np.exp(np.abs(rng.normal(0, 0.01, size)))
    return makers.hourly("A-B", closes.tolist()).with_columns(
        high=pl.max_horizontal("open", "close") * pl.Series(wick),
        low=pl.min_horizontal("open", "close") / pl.Series(wick),
    )


def signals(bars, **parameters):
    config = BollingerConfig(**BASE | parameters)
    return generate_signals(bars.lazy(), config).collect()["signal"].to_list()


def side(bars, sign, entry, goal, most=12, window=10, k=1.5):
    """One side bar by bar, in plain Python."""
    close = bars["close"].to_numpy()
    extreme = bars["low" if sign > 0 else "high"].to_numpy()
    found, events, since, was = [], [], None, False
    for now, price in enumerate(close):
        if now < window - 1:
            found.append(None)
            events.append(None)
            continue
        seen = close[now - window + 1 : now + 1]
        mean, band = seen.mean(), k * seen.std()
        beyond = sign * (mean - sign * band - price) > 0
        out = sign * (price - (mean if goal == "middle" else mean + sign * band)) >= 0
        touched = sign * (mean - sign * band - extreme[now]) > 0
        enter = {"touch": touched, "break": beyond, "reentry": was and not beyond}[entry]
        was = beyond
        event = "out" if out else "in" if enter else None
        before = next((e for e in reversed(events[max(0, now - most) :]) if e), None)
        events.append(event)
        if event == "out":
            since = None
        elif event == "in" and before != "in":
            since = now
        found.append(int(since is not None and now - since < most))
    return found


@pytest.mark.parametrize("entry", ["touch", "break", "reentry"])
@pytest.mark.parametrize("goal", ["middle", "opposite"])
def test_positions_are_those_of_a_slow_loop(entry, goal):
    bars = market()
    longs, shorts = (side(bars, sign, entry, goal) for sign in (1, -1))
    assert signals(bars, entry=entry, exit=goal) == longs
    both = [a if a is None else a - b for a, b in zip(longs, shorts, strict=True)]
    assert signals(bars, entry=entry, exit=goal, shorts=True) == both
    assert 0.02 < np.mean([one for one in longs if one is not None]) < 0.9


@pytest.mark.parametrize("entry", ["touch", "break", "reentry"])
def test_a_flat_market_is_never_held(entry):
    bars = makers.hourly("A-B", [0.1] * 100)
    assert set(signals(bars, entry=entry, shorts=True)) == {None, 0}


def test_no_position_outlives_its_bars():
    runs = pl.Series(signals(market(), entry="touch", max_bars=5)).rle().struct.unnest()
    longest = runs.filter(pl.col("value") == 1)["len"].max()
    assert longest == 5


def test_only_a_touch_reads_more_than_closes():
    assert BollingerConfig(**BASE, entry="touch").reads_all
    assert not BollingerConfig(**BASE, entry="break").reads_all
    assert BollingerConfig(**BASE).warmup == 10 + 2 * 12
