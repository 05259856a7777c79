"""Patterns, held against TA-Lib on the bars of the shared market sets.

On whole ticks sums are exact, in TA-Lib's running totals as in ours, and both say the same of each
bar. On prices with decimals a body that is exactly as long as usual is longer or shorter by how a
sum was rounded, which in TA-Lib depends on all bars before.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from talib_twins import TWINS

from cq.indicators import doji, in_time_order, marubozu
from cq.indicators.candles import PATTERNS

PRICES = ["open", "high", "low", "close"]
TICK = 1e-8


MARKETS = [
    "daily_binance_usdt_12",
    "daily_cmc_usd_10",
    "hourly_binance_usdt_12",
    "m1_binance_brl_20221108_10",
    "m1_bitfinex_usd_2018",
    "m5_binance_usdt_2024_4",
]
MOST = 50_000
"""Bars of a symbol that are compared."""


@pytest.fixture(scope="module", params=MARKETS)
def bars(request, shared):
    found = pl.read_parquet(shared / f"market/ohlcv/{request.param}.parquet")
    found = found.select("symbol", "ts", pl.col(PRICES).cast(pl.Float64)).drop_nulls()
    found = found.sort("ts").group_by("symbol").head(MOST)
    return found.sample(fraction=1.0, shuffle=True, seed=2)


def differing(bars: pl.DataFrame) -> dict[str, int]:
    """How many bars of all symbols a pattern is found in by one of the two only."""
    made = {name: in_time_order(TWINS[name].mine()[name]) for name in PATTERNS}
    found = bars.lazy().with_columns(**made).collect().sort("symbol", "ts")
    count = dict.fromkeys(PATTERNS, 0)
    for _, rows in found.group_by("symbol"):
        arrays = {name: rows[name].to_numpy() for name in PRICES}
        for name in PATTERNS:
            theirs = pl.Series(TWINS[name].theirs(arrays)[name], nan_to_null=True)
            count[name] += int(rows[name].ne_missing(theirs.cast(pl.Int8)).sum())
    return count


def test_every_bar_in_ticks_is_what_talib_says(bars):
    in_ticks = bars.with_columns((pl.col(PRICES) / TICK).round())
    assert {name: n for name, n in differing(in_ticks).items() if n} == {}


def test_prices_with_decimals_differ_in_next_to_no_bar(bars):
    count = differing(bars)
    assert max(count.values()) <= 3
    assert sum(count.values()) <= 12


def frame(*candles):
    return pl.DataFrame(candles, schema=PRICES, orient="row", strict=False).cast(pl.Float64)


USUAL = [(10, 15, 5, 12)] * 10


@pytest.mark.parametrize(
    ("last", "said"),
    [((10, 15, 5, 10), 100), ((10, 15, 5, 11), 100), ((10, 15, 5, 11.125), 0)],
)
def test_a_doji_has_a_body_of_a_tenth_of_the_usual_range_at_most(last, said):
    found = frame(*USUAL, last).select(doji(*PRICES)).to_series()
    assert found.to_list() == [None] * 10 + [said]
    assert found.dtype == pl.Int8


@pytest.mark.parametrize(("last", "said"), [((8, 12, 8, 12), 100), ((12, 12, 8, 8), -100)])
def test_a_marubozu_tells_up_from_down(last, said):
    assert frame(*USUAL, last).select(marubozu(*PRICES)).item(-1, 0) == said


def test_a_missing_price_is_no_pattern_until_it_has_left():
    bars = frame(*USUAL, *USUAL, *USUAL).with_columns(
        low=pl.when(pl.int_range(pl.len()) == 12).then(None).otherwise("low")
    )
    found = bars.select(doji(*PRICES)).to_series()
    assert np.flatnonzero(found.is_not_null()).tolist() == [10, 11, *range(23, 30)]
