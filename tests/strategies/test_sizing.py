from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from cq.strategies import FixedFraction, VolatilityTarget


def test_a_fixed_fraction_is_the_signal_times_the_fraction():
    frame = pl.DataFrame({"signal": pl.Series([None, 0, 1], dtype=pl.Int8)})
    found = frame.select(FixedFraction(fraction=0.25).target(pl.col("signal"), "1h"))
    assert found.to_series().to_list() == [None, 0.0, 0.25]


def held(closes, sizing, interval="1h"):
    bars = makers.hourly("A-B", closes).with_columns(signal=pl.lit(1, pl.Int8))
    found = bars.lazy().with_columns(t=sizing.target(pl.col("signal"), interval)).collect()
    return found["t"].to_list()


def test_wild_markets_are_held_less():
    moves = np.array([1, -1] * 20) * 0.02
    closes = (100 * np.exp(np.cumsum(moves))).tolist()
    sizing = VolatilityTarget(annual_volatility=0.5, window=10)
    found = held(closes, sizing)
    assert found[:10] == [None] * 10
    deviation = np.std([0.02, -0.02] * 5, ddof=1) * np.sqrt(8_760)
    assert found[10] == pytest.approx(0.5 / deviation, rel=1e-6)


def test_a_calm_market_is_capped():
    assert held([5.0] * 20, VolatilityTarget(window=3, max_fraction=0.7))[-1] == 0.7


def test_warmup_counts_the_bar_before_the_first_return():
    assert VolatilityTarget(window=168).warmup == 169
    assert FixedFraction().warmup == 1


@pytest.mark.parametrize("wrong", [{"fraction": 0}, {"fraction": 1.1}, {"fractio": 1}])
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        FixedFraction(**wrong)
