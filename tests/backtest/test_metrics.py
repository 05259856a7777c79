from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.backtest import compiled
from cq.backtest.account import Fill
from cq.backtest.metrics import (
    annualized,
    drawdown,
    hit_rate,
    max_drawdown,
    metrics,
    payoff,
    sharpe,
    told_of,
)
from cq.backtest.rounds import round_trips

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def hours(count, *, without=()):
    return np.array([i * HOUR for i in range(count) if i not in without], dtype=np.int64)


def fill(ts, side, qty, price, fee=0.0, symbol="A"):
    return Fill(ts, symbol, side, qty, price, fee, 0.0)


curves = st.lists(st.floats(1, 1e6), min_size=2, max_size=50)


@given(curves)
def test_sharpe_is_that_of_a_plain_loop(curve):
    returns = [b / a - 1 for a, b in zip([curve[0], *curve[:-1]], curve, strict=True)]
    found = sharpe(hours(len(curve)), np.array(curve), curve[0], "1h")
    deviation = statistics.stdev(returns)
    if found is None:
        assert deviation < 1e-7
    elif deviation > 1e-6:
        expected = statistics.fmean(returns) / deviation * math.sqrt(8_760)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_missing_bar_counts_as_a_bar_without_a_move():
    whole = [100.0, 101.0, 101.0, 101.0, 99.0, 100.0]
    seen = [100.0, 101.0, 99.0, 100.0]
    gap = sharpe(hours(6, without=(2, 3)), np.array(seen), 100.0, "1h")
    assert gap == pytest.approx(sharpe(hours(6), np.array(whole), 100.0, "1h"), rel=1e-12)


def test_losing_more_than_there_is_is_no_merit():
    """From −100 to −200 is no gain of a hundred per cent."""
    ruin = np.array([100.0, 50.0, -100.0, -200.0, -400.0])
    found = sharpe(hours(5), ruin, 100.0, "1h")
    assert found == pytest.approx(
        sharpe(hours(5), np.array([100.0, 50.0, -100.0, -100.0, -100.0]), 100.0, "1h")
    )
    assert found < 0
    said = metrics(
        hours(5), ruin, np.zeros(5), [fill(0, "sell", 1, 100)], cash=100, interval="1h", held=100
    )
    assert said["turnover"] is None


def test_equity_that_never_moves_has_no_sharpe():
    assert sharpe(hours(5), np.full(5, 100.0), 100.0, "1h") is None
    assert sharpe(hours(1), np.array([100.0]), 100.0, "1h") is None


def test_drawdown_is_the_fall_from_the_highest_point_so_far():
    assert drawdown(np.array([100, 120, 90, 130, 117.0]), 100.0).tolist() == pytest.approx(
        [0, 0, -0.25, 0, -0.1]
    )
    assert max_drawdown(np.array([100, 120, 90, 130, 117.0]), 100.0) == -0.25


def test_a_fall_below_the_starting_cash_counts_from_the_first_bar():
    assert max_drawdown(np.array([90.0, 95.0]), 100.0) == pytest.approx(-0.1)


@given(curves, st.floats(0.01, 100))
def test_drawdown_ignores_the_currency(curve, rate):
    one = max_drawdown(np.array(curve), curve[0])
    other = max_drawdown(np.array(curve) * rate, curve[0] * rate)
    assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
    assert -1 <= one <= 0


@given(curves)
def test_drawdown_is_that_of_a_plain_loop(curve):
    peak, worst = curve[0], 0.0
    for value in curve:
        peak = max(peak, value)
        worst = min(worst, value / peak - 1)
    assert max_drawdown(np.array(curve), curve[0]) == pytest.approx(worst, rel=1e-12, abs=1e-15)


def test_growth_is_annualised_by_the_time_that_passed():
    assert annualized(0.21, 2.0) == pytest.approx(0.1)
    assert annualized(-1.0, 0.5) == -1.0
    assert annualized(10.0, 1e-4) is None


def test_a_short_round_trip_ends_with_the_buy_that_closes_it():
    trips = round_trips([fill(1, "sell", 2.0, 10.0, 1.0), fill(2, "buy", 2.0, 8.0, 1.0)])
    assert [(one.opened_ts, one.closed_ts, one.profit) for one in trips] == [(1, 2, 2.0)]


def test_a_round_trip_lasts_until_nothing_is_held():
    trips = round_trips(
        [
            fill(1, "buy", 2.0, 10.0, 1.0),
            fill(2, "sell", 1.0, 20.0, 1.0),
            fill(3, "buy", 5.0, 1.0, symbol="B"),
            fill(4, "buy", 1.0, 12.0, 1.0),
            fill(5, "sell", 2.0, 15.0, 1.0),
            fill(6, "buy", 1.0, 1.0),
        ]
    )
    assert [(one.symbol, one.opened_ts, one.closed_ts, one.profit) for one in trips] == [
        ("A", 1, 5, -20 + 20 - 12 + 30 - 4)
    ]


def test_a_fill_that_turns_what_is_held_ends_a_round_trip_and_begins_another():
    turned = [
        fill(1, "buy", 2.0, 10.0, 1.0),
        fill(2, "sell", 5.0, 12.0, 5.0),
        fill(3, "sell", 1.0, 14.0, 1.0),
        fill(4, "buy", 10.0, 8.0, 10.0),
    ]
    trips = round_trips(turned)
    assert [(one.opened_ts, one.closed_ts, one.profit, one.paid) for one in trips] == [
        (1, 2, 4.0 - 1 - 2, 20.0),
        (2, 4, 36.0 + 14 - 32 - 3 - 1 - 4, 50.0),
    ]
    (rest,) = round_trips([*turned, fill(5, "sell", 6.0, 9.0, 0.0)])[2:]
    assert (rest.opened_ts, rest.closed_ts, rest.profit, rest.paid) == (4, 5, 6.0 - 6, 48.0)


def test_binary_dust_does_not_keep_a_round_trip_open():
    fills = [fill(0, "buy", 0.1, 1.0), fill(1, "buy", 0.2, 1.0), fill(2, "sell", 0.3, 2.0)]
    assert len(round_trips(fills)) == 1


def test_hits_and_payoff_of_no_trade_are_unknown():
    assert hit_rate([]) is None
    assert payoff([]) is None
    assert payoff([1.0]) is None
    assert hit_rate([3.0, -1.0, 0.0, 5.0]) == 0.5
    assert payoff([3.0, -1.0, -3.0, 5.0]) == 2.0


def test_what_shorts_lost_beyond_all_is_all_a_year():
    assert annualized(-1.5, 0.5) == -1.0


def test_the_core_of_a_run_by_hand():
    found = metrics(
        hours(25), np.linspace(100, 110, 25), np.full(25, 0.5),
        [fill(0, "buy", 1.0, 50.0, 2.0), fill(9, "sell", 1.0, 60.0, 3.0)],
        cash=100.0, interval="1h", held=130.0,
    )  # fmt: skip
    assert found["total_return"] == pytest.approx(0.1)
    assert found["buy_and_hold"] == pytest.approx(0.3)
    assert found["annualized_return"] == pytest.approx(1.1 ** (8_760 / 25) - 1)
    assert found["turnover"] == pytest.approx(110 / 105 * 8_760 / 25)
    assert (found["trades"], found["round_trips"], found["fees"]) == (2, 1, 5.0)
    assert (found["hit_rate"], found["payoff"], found["exposure"]) == (1.0, None, 0.5)


@given(st.integers(1, 5_000), st.integers(0, 2**32), st.floats(0.5, 2))
@settings(max_examples=60)
def test_machine_code_tells_of_a_curve_what_numpy_does_to_the_last_bit(size, seed, cash):
    rng = np.random.default_rng(seed)
    equity = np.exp(np.cumsum(rng.normal(rng.normal(0, 1e-3), 0.01, size)))
    exposure = np.where(rng.random(size) < rng.random(), 0.0, rng.random(size))
    both = []
    for code in (None, compiled.compiled()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cq.backtest.metrics.loaded", lambda code=code: code)
            both.append(told_of(equity, exposure, cash))
    assert both[0] == both[1]
    assert both[0].max_dd == max_drawdown(equity, cash)
    assert both[0].held == np.count_nonzero(exposure)
