"""Every metric of a run against a formula of its own, and where there is nothing to measure."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from types import SimpleNamespace

import makers
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import cq
from cq.backtest.account import Account, Costs, Fill
from cq.backtest.days import Days, equal_weight, growth, until_ruin
from cq.backtest.definitions import METRICS
from cq.backtest.engine import Simulation
from cq.backtest.market import Market, Rules
from cq.backtest.measures import measured
from cq.backtest.stepping import begun

HOUR, DAY = makers.HOUR, 24 * makers.HOUR
CASH = 1_000.0


def simulation(equity, *, step=DAY, fills=(), exposure=None, without=()):
    ts = np.array([i * step for i in range(len(equity) + len(without)) if i not in without])
    equity = np.array(equity, dtype=float)
    exposure = np.full(equity.size, 0.5) if exposure is None else np.array(exposure)
    carried = begun((), 0, Rules(CASH, Costs(), "1d"))
    return Simulation(list(fills), Account(0.0), ts, equity, equity, exposure, carried)


def market(close, symbol="A", *, step=DAY, first=0):
    close = np.array(close, dtype=float)
    ts = (first + np.arange(close.size)) * step
    return Market(symbol, ts, np.concatenate((close[:1], close[:-1])), close, close * 0)


def run(equity, closes=None, *, interval="1d", cash=CASH, **more):
    closes = np.linspace(100, 120, len(equity)) if closes is None else closes
    step = HOUR if interval == "1h" else DAY
    return measured(
        simulation(equity, step=step, **more), [market(closes, step=step)], cash, interval
    )


def fill(ts, side, qty, price, fee=0.0, slippage=0.0):
    return Fill(ts, "A", side, qty, price, fee, slippage)


moves = st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 4)), min_size=2, max_size=60)


@settings(max_examples=60)
@given(moves, moves)
def test_the_numbers_of_days_are_those_of_other_formulas(ours, theirs):
    size = min(len(ours), len(theirs))
    closes = 100 * np.cumprod(1 + np.array(theirs[:size]))
    found = run(CASH * np.cumprod(1 + np.array(ours[:size])), closes)
    r, b = np.array(ours[:size]), np.concatenate(([0.0], np.array(theirs[1:size])))

    def holds(name, expected, rel=1e-7):
        assert found[name] == pytest.approx(expected, rel=rel, abs=1e-9), name

    holds("best_day", r.max())
    holds("worst_day", r.min())
    if np.std(r) > 1e-6:
        holds("volatility", np.std(r, ddof=1) * math.sqrt(365))
        holds("sharpe_daily", np.mean(r) / np.std(r, ddof=1) * math.sqrt(365), 1e-6)
        holds("skewness", stats.skew(r), 1e-6)
        holds("kurtosis", stats.kurtosis(r, fisher=False), 1e-6)
        if found["psr"] is not None:
            sr, n = np.mean(r) / np.std(r, ddof=1), len(r)
            var = 1 - stats.skew(r) * sr + (stats.kurtosis(r, fisher=False) - 1) / 4 * sr**2
            holds("psr", stats.norm.cdf(sr * math.sqrt(n - 1) / math.sqrt(var)), 1e-6)
            if sr > 1e-6:
                holds("min_track_record", 1 + var * (stats.norm.ppf(0.95) / sr) ** 2, 1e-5)
    if r.min() < -1e-9:
        downside = math.sqrt(sum(min(x, 0) ** 2 for x in r) / len(r))
        holds("sortino", np.mean(r) / downside * math.sqrt(365), 1e-6)
        holds("omega", sum(x for x in r if x > 0) / -sum(x for x in r if x < 0), 1e-6)
    if size >= 20:
        low, high = np.percentile(r, [5, 95])
        holds("var_95", low)
        holds("tail_ratio", high / abs(low), 1e-6) if abs(low) > 1e-6 else None
    else:
        assert found["var_95"] is found["cvar_95"] is found["tail_ratio"] is None
    if np.std(b) > 1e-6:
        slope = stats.linregress(b, r)
        holds("beta_hold", slope.slope, 1e-6)
        holds("alpha_hold", slope.intercept * 365, 1e-5)
        assert found["beta_equal"] == pytest.approx(found["beta_hold"])
    if np.std(r - b) > 1e-6:
        more = r - b
        holds("information_hold", np.mean(more) / np.std(more, ddof=1) * math.sqrt(365), 1e-6)


@settings(max_examples=60)
@given(moves)
def test_falls_are_those_of_a_plain_loop(ours):
    equity = CASH * np.cumprod(1 + np.array(ours))
    found = run(equity)
    curve, depths, lengths, deep, begun = [CASH, *equity], [], [], 0.0, 0
    below = []
    peak = CASH
    for day, value in enumerate(curve):
        below.append(value / peak - 1 if value < peak else 0.0)
        if value >= peak:
            if deep < 0:
                depths.append(deep)
                lengths.append(day - begun)
            peak, deep, begun = value, 0.0, day
        deep = min(deep, value / peak - 1)
    if deep < 0:
        depths.append(deep)
        lengths.append(len(curve) - 1 - begun)
    assert found["drawdowns"] == len(depths)
    assert found["max_dd_days"] == max(lengths, default=0)
    if depths:
        assert found["avg_dd"] == pytest.approx(np.mean(depths))
        assert found["avg_dd_days"] == pytest.approx(np.mean(lengths))
        assert found["calmar"] == pytest.approx(found["annualized_return"] / abs(min(depths)))
    assert found["ulcer"] == pytest.approx(math.sqrt(np.mean(np.square(below[1:]))))
    assert found["underwater"] == pytest.approx(np.mean([one < 0 for one in below[1:]]))


@settings(max_examples=60)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_round_trips_are_those_of_plain_lists(profits):
    fills = []
    for at, profit in enumerate(profits):
        fills += [fill(2 * at * DAY, "buy", 1.0, 100.0)]
        fills += [fill((2 * at + 1) * DAY, "sell", 1.0, 100.0 + profit)]
    found = run([CASH] * (2 * len(profits)), fills=fills)
    won, lost = [one for one in profits if one > 0], [one for one in profits if one < 0]
    assert found["expectancy"] == pytest.approx(np.mean(profits))
    assert found["profit_factor"] == (pytest.approx(sum(won) / -sum(lost)) if lost else None)
    assert (found["best_trip"], found["worst_trip"]) == (max(profits), min(profits))
    assert found["holding_days"] == 1.0
    said = "".join("W" if one > 0 else "L" for one in profits)
    assert found["win_streak"] == max(len(one) for one in said.split("L"))
    assert found["loss_streak"] == max(len(one) for one in said.split("W"))
    if len(set(profits)) > 1:
        expected = math.sqrt(len(profits)) * np.mean(profits) / np.std(profits, ddof=1)
        assert found["sqn"] == pytest.approx(expected)
    else:
        assert found["sqn"] is None


def test_closed_forms():
    steady = run(CASH * 1.01 ** np.arange(1, 366), 100 * 1.01 ** np.arange(365))
    assert steady["total_return"] == pytest.approx(1.01**365 - 1)
    assert steady["cagr"] == steady["annualized_return"] == pytest.approx(1.01**365 - 1)
    assert steady["max_dd"] == steady["ulcer"] == steady["drawdowns"] == 0
    assert steady["calmar"] is steady["omega"] is steady["sortino"] is None
    seesaw = run(CASH * np.cumprod([1.1, 1 / 1.1] * 50))
    assert seesaw["total_return"] == pytest.approx(0)
    assert seesaw["omega"] == pytest.approx(0.1 / (1 - 1 / 1.1))
    assert seesaw["var_95"] == pytest.approx(1 / 1.1 - 1)
    assert seesaw["cvar_95"] == pytest.approx(1 / 1.1 - 1)
    assert (seesaw["drawdowns"], seesaw["avg_dd_days"]) == (50, pytest.approx(99 / 50))
    assert seesaw["positive_days"] == 0.5


def test_what_holds_the_market_has_its_returns():
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, 200)))
    same = run(CASH * closes / closes[0], closes)
    assert same["beta_hold"] == pytest.approx(1)
    assert same["alpha_hold"] == pytest.approx(0, abs=1e-9)
    assert same["information_hold"] is None
    assert same["buy_and_hold"] == pytest.approx(same["total_return"])
    assert same["equal_weight"] == pytest.approx(same["total_return"])


def test_costs_and_presence_are_counted():
    fills = [fill(0, "buy", 1.0, 50.0, 2.0, 1.0), fill(DAY, "sell", 1.0, 60.0, 3.0, 4.0)]
    found = run([CASH] * 4, fills=fills, exposure=[0.5, 0.5, 0.0, 0.0])
    assert (found["fees"], found["slippage"], found["costs"]) == (5.0, 5.0, 0.01)
    assert (found["exposure"], found["time_in_market"]) == (0.25, 0.5)


def test_a_short_that_cost_more_than_there_was_is_time_in_the_market():
    price = [100.0, 100.0, 300.0, 300.0, 300.0]
    hours = pl.DataFrame({"ts": np.arange(5) * HOUR, "symbol": "A-B", "target": -1.0}).with_columns(
        *(pl.Series(name, price) for name in ("open", "high", "low", "close")), volume=1.0
    )
    free = {"fees": {"taker": 0.0, "maker": 0.0}, "slippage": {"bps": 0.0}}
    found = cq.backtest(hours, interval="1h", cash=1_000, allow_short=True, **free).metrics
    assert (found["time_in_market"], found["exposure"]) == (0.8, 0.2)


NOTHING = [
    ("one bar", [CASH], {}),
    ("flat", [CASH] * 30, {}),
    ("two bars", [CASH, CASH * 1.1], {}),
    ("ruin", [CASH, 0.0, 0.0, 0.0], {}),
    ("more than ruin", [CASH, 10.0, -50.0, -60.0], {}),
    ("immense", [CASH, 1e300, 1e301, 1e-300], {}),
]


@pytest.mark.parametrize(("what", "equity", "more"), NOTHING)
@pytest.mark.parametrize("interval", ["1h", "1d", "1w"])
def test_what_has_no_value_is_none_and_never_nan(what, equity, more, interval):
    found = run(equity, interval=interval, **more)
    assert list(found) == [one.name for one in METRICS]
    json.dumps(found, allow_nan=False)
    if what in ("one bar", "flat"):
        for name in ("sharpe", "sharpe_daily", "sortino", "volatility", "psr", "calmar", "omega"):
            assert found[name] is None, name
    assert found["hit_rate"] is found["expectancy"] is found["sqn"] is None


def test_a_frame_of_one_bar_and_one_without_trades_have_metrics():
    bars = makers.hourly("A-B", [100.0] * 3).with_columns(target=pl.lit(0.0))
    for rows in (1, 3):
        found = cq.backtest(bars.head(rows), interval="1h").metrics
        assert json.dumps(found, allow_nan=False)
        assert found["total_return"] == found["trades"] == 0


# ---- days


def test_a_day_ends_with_its_last_bar_and_one_without_bars_repeats_the_one_before():
    ts = np.array([0, 5, 23, 24, 30, 72, 73]) * HOUR
    days = Days.of(ts, "1h")
    assert days.rows.tolist() == [2, 4, 4, 6]
    assert (days.length, days.per_year) == (1.0, 365.0)
    equity = np.arange(7.0) + 1
    assert growth(equity[days.rows], 2.0).tolist() == pytest.approx([0.5, 2 / 3, 0.0, 0.4])


def test_longer_bars_are_days_of_their_own():
    days = Days.of(np.arange(3) * 7 * DAY, "1w")
    assert days.rows.tolist() == [0, 1, 2]
    assert days.length == 7
    assert days.per_year == pytest.approx(365 / 7)


def test_hours_and_their_days_give_the_same_numbers():
    hourly = CASH * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.004, 24 * 60)))
    closes = np.linspace(100, 130, 24 * 60)
    one = run(hourly, closes, interval="1h")
    other = run(hourly[23::24], closes[23::24], interval="1d")
    for name in ("volatility", "sharpe_daily", "sortino", "omega", "var_95", "kurtosis", "psr"):
        assert one[name] == pytest.approx(other[name], rel=1e-12), name
    for name in ("avg_dd", "avg_dd_days", "max_dd_days", "drawdowns", "ulcer", "underwater"):
        assert one[name] == pytest.approx(other[name], rel=1e-12), name


def test_equal_weight_is_a_plain_loop():
    rng = np.random.default_rng(5)
    late = 7
    a, b = (100 * np.exp(np.cumsum(rng.normal(0, 0.05, size))) for size in (40, 40 - late))
    markets = [market(a), market(b, "B", first=late)]
    days = Days.of(np.arange(40) * DAY, "1d")
    found = equal_weight(markets, 0, days, CASH)
    worth = CASH
    for day, (before, now) in enumerate(pairwise([a[0], *a])):
        each = [now / before]
        if day >= late:
            each.append(b[day - late] / (b[max(day - late - 1, 0)]))
        each += [1.0] * (2 - len(each))  # cash
        worth *= sum(each) / len(each)
        assert found[day] == pytest.approx(worth)


def test_while_no_symbol_trades_cash_is_held():
    markets = [market([50.0, 60.0, 60.0], first=2)]
    days = SimpleNamespace(ts=np.arange(4) * DAY, rows=np.arange(4))
    assert equal_weight(markets, 0, days, CASH).tolist() == pytest.approx(
        [CASH, CASH, CASH, CASH * 1.2]
    )


@given(st.lists(st.sampled_from([-2.5, -1.5, -1.0, -0.1, 0.0, 0.3, 4.0]), min_size=1, max_size=9))
def test_a_history_stays_where_nothing_or_less_was_left(moves):
    worth = [1.0]
    for move in moves:
        worth.append(worth[-1] * (1 + move) if worth[-1] > 0 else worth[-1])
    found = np.cumprod(1 + until_ruin(np.array([moves, moves])), axis=1)
    assert found.tolist() == [worth[1:], worth[1:]]
