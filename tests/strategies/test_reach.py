from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.features import Pipeline
from cq.strategies.reach import first_places, since, until
from cq.utils.time import HOUR

COMPARED = Pipeline.of(
    {
        "place": {"use": "rank", "of": "volume"},
        "usual_place": {"use": "sma", "of": "place", "window": 4},
        "above": {"use": "relative", "of": "usual_place"},
        "lately": {"use": "sma", "of": "above", "window": 3},
    },
    "1h",
)
SYMBOLS = ("A-BRL", "B-BRL", "C-BRL")


@st.composite
def markets(draw):
    """Hours of three symbols, each of which has bars in some of them only."""
    parts = []
    for number, symbol in enumerate(SYMBOLS):
        rate = draw(st.sampled_from([0.1, 0.4, 1.0]))
        random = np.random.default_rng([draw(st.integers(0, 99)), number])
        hours = np.flatnonzero(random.uniform(size=120) < rate)[: draw(st.integers(1, 120))]
        parts.append(
            pl.DataFrame(
                {
                    "symbol": [symbol] * hours.size,
                    "ts": hours * HOUR,
                    "volume": random.integers(1, 9, hours.size).astype(float),
                },
                schema={"symbol": pl.String, "ts": pl.Int64, "volume": pl.Float64},
            )
        )
    return pl.concat(parts)


def made(bars: pl.DataFrame) -> pl.DataFrame:
    return COMPARED.apply(bars.lazy()).collect().sort("symbol", "ts")


@settings(max_examples=60)
@given(bars=markets(), data=st.data())
def test_what_is_compared_is_the_same_over_the_window_as_over_all_history(bars, data):
    if bars.is_empty():
        return
    ts = data.draw(st.sampled_from(bars["ts"].unique().sort().to_list()))
    whole = made(bars)
    window = until(bars, ts, COMPARED.warmup, COMPARED.compares)
    now = pl.col("ts") == ts
    assert_frame_equal(made(window).filter(now), whole.filter(now), check_exact=True)
    some = since(bars, ts, COMPARED.warmup, COMPARED.compares)
    later = pl.col("ts") >= ts
    assert_frame_equal(made(some).filter(later), whole.filter(later), check_exact=True)


def test_comparisons_above_each_other_are_counted():
    assert COMPARED.compares == 2
    assert Pipeline.of({"a": {"use": "sma", "of": "close", "window": 4}}, "1h").compares == 0


def test_where_nothing_is_compared_each_symbol_looks_back_on_as_many_bars_of_its_own():
    times = {"A": np.arange(100), "B": np.arange(0, 100, 10), "C": np.arange(20)}
    assert first_places(times, 90, 5) == {"A": 86, "B": 5}


def test_what_is_traded_seldom_makes_others_look_further_back():
    times = {"A": np.arange(100), "B": np.arange(0, 100, 10), "C": np.arange(40)}
    assert first_places(times, 90, 4, 1) == {"A": 57, "B": 3}
    assert first_places(times, 90, 7, 1) == {"A": 24, "B": 0, "C": 24}
    assert first_places(times, 90, 5, 2) == {"A": 6, "B": 0, "C": 6}


def test_a_market_that_ended_long_ago_is_not_looked_back_on():
    times = {"A": np.arange(100), "ended": np.arange(0, 30, 10)}
    assert first_places(times, 99, 4, 2) == {"A": 90}


def test_a_market_with_fewer_bars_than_a_decision_looks_at_is_looked_at_whole():
    bars = pl.DataFrame({"symbol": ["A"] * 9 + ["B"] * 3, "ts": [*range(9), *range(6, 9)]})
    assert_frame_equal(until(bars, 8, 9), bars)
    assert until(bars, 8, 5).rows() == [*(("A", n) for n in range(4, 9)), *bars.rows()[9:]]
