import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import HOUR, hourly
from polars.testing import assert_frame_equal

from cq.indicators import in_time_order, log_returns
from cq.stats import (
    cumulative_returns,
    drawdown,
    ewma_deviation,
    rolling_sharpe,
    rolling_volatility,
    simple_returns,
)

PRICES = st.lists(st.floats(1, 100), min_size=1, max_size=30)


def column(values, expr):
    return pl.DataFrame({"x": values}, schema={"x": pl.Float64}).select(y=expr)["y"].to_list()


def test_a_return_is_the_growth_since_the_bar_before():
    assert column([100.0, 110.0, 99.0], simple_returns("x")) == pytest.approx([None, 0.1, -0.1])


@given(PRICES)
def test_growth_adds_up_to_the_last_price_over_the_first(prices):
    both = [
        cumulative_returns(simple_returns("x")),
        cumulative_returns(log_returns("x"), logarithmic=True),
    ]
    for grown in both:
        assert column(prices, grown)[-1] == pytest.approx(
            prices[-1] / prices[0] - 1, rel=1e-9, abs=1e-9
        )


def test_rolling_sharpe_is_that_of_the_window_annualised():
    r = [0.01, -0.02, 0.03, 0.01]
    mean = sum(r[1:]) / 3
    spread = math.sqrt(sum((x - mean) ** 2 for x in r[1:]) / 2)
    found = column(r, rolling_sharpe("x", 3, "1d"))
    assert found[:2] == [None, None]
    assert found[3] == pytest.approx(mean / spread * math.sqrt(365))
    assert column(r, rolling_volatility("x", 3, "1h"))[3] == pytest.approx(spread * math.sqrt(8760))


def test_a_market_without_a_move_has_no_sharpe_ratio():
    assert column([0.0] * 5, rolling_sharpe("x", 3, "1d")) == [None] * 5


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=20), st.floats(0.5, 0.99))
def test_ewma_is_the_recursion_written_out(returns, decay):
    variance, expected = returns[0] ** 2, []
    for r in returns:
        if expected:
            variance = decay * variance + (1 - decay) * r * r
        expected.append(math.sqrt(variance))
    assert column(returns, ewma_deviation("x", decay)) == pytest.approx(expected, abs=1e-12)


@given(PRICES, st.floats(0.01, 100))
def test_a_drawdown_ignores_the_currency(prices, rate):
    assert column([p * rate for p in prices], drawdown("x")) == pytest.approx(
        column(prices, drawdown("x")), abs=1e-9
    )


def test_returns_of_many_symbols_in_any_order_do_not_meet():
    bars = pl.concat([hourly("A-B", [1.0, 2.0, 4.0]), hourly("C-D", [8.0, 4.0], start=HOUR)])
    shuffled = bars.sample(fraction=1, shuffle=True, seed=3).lazy()
    found = shuffled.with_columns(r=in_time_order(simple_returns("close"))).collect()
    assert_frame_equal(
        found.sort("symbol", "ts").select("symbol", "r"),
        pl.DataFrame({"symbol": ["A-B"] * 3 + ["C-D"] * 2, "r": [None, 1.0, 1.0, None, -0.5]}),
    )
