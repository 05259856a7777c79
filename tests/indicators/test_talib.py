"""Every indicator that TA-Lib has says what TA-Lib says, and begins at the same bar."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talib_twins import TWINS, Twin

from cq.indicators import REGISTRY, in_time_order
from cq.indicators.candles import PATTERNS

PRICES = ("open", "high", "low", "close")


def assert_equal(ours: pl.DataFrame, twin: Twin, bars: pl.DataFrame) -> None:
    """The same nulls, and numbers that differ by less than 1e-9 of their scale."""
    arrays = {name: bars[name].to_numpy() for name in (*PRICES, "volume")}
    for name, theirs in twin.theirs(arrays).items():
        found = ours[name].cast(pl.Float64).to_numpy()
        theirs = np.where(np.isfinite(theirs), theirs, np.nan)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(theirs), err_msg=name)
        scale = np.nanmax(np.abs(theirs), initial=1.0)
        np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-9 * scale, err_msg=name)


@pytest.fixture(scope="module")
def real(shared) -> dict[str, pl.DataFrame]:
    """Years of days of twelve symbols, in no order at all, with everything added in one plan.

    Candle patterns, which rounding can decide, have tests of their own.
    """
    bars = pl.read_parquet(shared / "market/ohlcv/daily_binance_usdt_12.parquet")
    bars = bars.sample(fraction=1.0, shuffle=True, seed=1)
    made = {
        f"{case} {name}": in_time_order(expr)
        for case, twin in TWINS.items()
        for name, expr in twin.mine().items()
    }
    found = bars.lazy().with_columns(**made).collect().sort("symbol", "ts")
    return {symbol: rows for (symbol,), rows in found.group_by("symbol")}


@pytest.mark.parametrize("case", [case for case in TWINS if case not in PATTERNS])
def test_real_bars_of_many_symbols_in_any_order(real, case):
    twin = TWINS[case]
    assert len(real) == 12
    for bars in real.values():
        ours = bars.select(pl.col(f"{case} {name}").alias(name) for name in twin.mine())
        assert_equal(ours, twin, bars)


@st.composite
def walks(draw: st.DrawFn) -> pl.DataFrame:
    """Bars in eighths with flat stretches, and with bars without a range or without a trade.

    The first bar moves: from a market that never moved TA-Lib reads an RSI of 0, we one of 50.
    """
    size, busy = draw(st.integers(1, 120)), draw(st.sampled_from([0.2, 0.6, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    moves = random.choice([-40, -3, -1, 1, 2, 40], size) * (random.random(size) < busy)
    closes = np.cumsum([8_000, 1, 1, *moves][: size + 1]) / 8
    opens, closes = closes[:-1], closes[1:]
    up, down = random.integers(0, 5, (2, size)) * (random.random(size) < busy) / 8
    return pl.DataFrame(
        {
            "ts": np.arange(size),
            "open": opens,
            "high": np.maximum(opens, closes) + up,
            "low": np.minimum(opens, closes) - down,
            "close": closes,
            "volume": random.choice([0.0, 1.0, 2.5, 1000.0], size),
        }
    )


@settings(max_examples=30)
@given(bars=walks())
def test_bars_of_any_kind(bars):
    made = {(case, name): e for case, twin in TWINS.items() for name, e in twin.mine().items()}
    keys = {key: f"{number}" for number, key in enumerate(made)}
    found = bars.lazy().select(**{keys[k]: e for k, e in made.items()}).collect(engine="in-memory")
    for case, twin in TWINS.items():
        ours = found.select(pl.col(keys[case, name]).alias(name) for name in twin.mine())
        assert_equal(ours, twin, bars)


ALONE = {"log_returns", "realised_volatility", "alma", "zscore", "covariance", "skew", "kurtosis",
         "hurst", "choppiness", "ichimoku", "parkinson", "garman_klass", "rogers_satchell",
         "yang_zhang", "ewma_volatility", "vwap", "rolling_vwap"}  # fmt: skip
"""What TA-Lib does not have."""


def test_no_indicator_that_talib_has_is_left_out():
    outputs = {name for one in REGISTRY.values() for name in one.outputs}
    seen = {case.split("-")[0] for case in TWINS}
    assert {name for name in REGISTRY if name not in seen} - ALONE == {"dmi"}
    assert seen <= set(REGISTRY) | outputs
