from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import polars as pl
import pytest
import talib

from cq.indicators import beta, ewma_volatility, hurst, log_returns, realised_volatility
from cq.utils.time import bars_per_year


@pytest.fixture(scope="module")
def walk():
    return 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, 1_000)))


def test_returns_start_with_the_second_bar():
    found = pl.DataFrame({"c": [1.0, math.e, 1.0]}).select(log_returns("c"))["c"].to_list()
    assert found == [None, 1.0, -1.0]


def test_volatility_is_the_sample_deviation_of_a_plain_loop(walk):
    found = pl.DataFrame({"c": walk}).select(realised_volatility("c", 24, 8_760))["c"].to_list()
    returns = [math.log(b / a) for a, b in itertools.pairwise(walk)]
    assert found[:24] == [None] * 24
    for i in range(24, len(walk)):
        expected = statistics.stdev(returns[i - 24 : i]) * math.sqrt(8_760)
        assert found[i] == pytest.approx(expected, rel=1e-7)


def test_volatility_is_talibs_with_its_divisor(walk):
    returns = np.log(walk[1:] / walk[:-1])
    theirs = talib.STDDEV(returns, 48) * math.sqrt(48 / 47)
    ours = pl.DataFrame({"c": walk}).select(realised_volatility("c", 48, 1.0))["c"].to_numpy()
    np.testing.assert_allclose(ours[48:], theirs[47:], rtol=1e-6)


@pytest.mark.parametrize("zeros", [[300], [300, 301]])
def test_of_a_price_of_0_there_is_no_return_and_what_follows_has_its_numbers_again(walk, zeros):
    with_zeros = np.where(np.isin(np.arange(walk.size), zeros), 0.0, walk)
    indicators = {
        "returns": log_returns("c"), "ewma": ewma_volatility("c"),
        "realised": realised_volatility("c", 24), "hurst": hurst("c", 50),
        "beta": beta("c", "m", 30), "of_zeros": beta("m", "c", 30),
    }  # fmt: skip
    frame = pl.DataFrame({"c": walk, "m": walk[::-1] ** 0.5})
    whole = frame.select(**indicators)
    found = frame.with_columns(c=with_zeros).select(**indicators)
    for name in indicators:
        assert found[name].is_finite().all(), name  # nulls are passed over
        assert found[name][:300].equals(whole[name][:300]), name
        assert found[name].tail(600).null_count() == 0, name
    assert found["returns"].null_count() == 1 + len(zeros) + 1


def test_a_flat_market_has_no_volatility():
    flat = pl.DataFrame({"c": [0.1] * 50}).select(realised_volatility("c", 10, 8_760))["c"]
    assert flat.drop_nulls().unique().to_list() == [0.0]


def test_a_jump_counts_at_most_one():
    jump = pl.DataFrame({"c": [1.0, 1.0, 1e6, 1e6]})
    found = jump.select(realised_volatility("c", 3, 1.0))["c"].to_list()[-1]
    assert found == pytest.approx(statistics.stdev([0.0, 1.0, 0.0]), rel=1e-12)


def test_the_year_of_an_hour_has_8760_bars():
    assert bars_per_year("1h") == 8_760
