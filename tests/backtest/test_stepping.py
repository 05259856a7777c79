"""The loop over bars against a slow engine with every kind of order, and by what always holds."""

from __future__ import annotations

import math
from dataclasses import replace

import makers
import numpy as np
import pytest
import reference_orders as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from order_cases import (
    assert_agrees,
    at_prices,
    by_little,
    calm,
    case,
    markets_of,
    of_little_worth,
    rules_of,
)

from cq.backtest import compiled, stepping
from cq.backtest.account import Costs
from cq.backtest.engine import simulate
from cq.backtest.market import BARS, LEVELS, Market, Rules
from cq.errors import UsageError

HOUR = makers.HOUR
SEEDS = st.integers(0, 2**63 - 1)
"""Cases are made from a seed: a thousand choices one by one would take Hypothesis minutes."""
MANY = settings(max_examples=350, deadline=None)
AGREES = settings(MANY, max_examples=600)
FEW = settings(MANY, max_examples=80)


@AGREES
@given(SEEDS)
def test_every_kind_of_order_is_that_of_the_slow_engine(seed):
    bars, said = case(seed)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_over_longer_histories_too(seed):
    bars, said = case(seed, size=30)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_over_quiet_stretches_too(seed):
    bars, said = calm(seed)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_entries_for_a_little_more_are_those_of_the_slow_engine(seed):
    bars, said = by_little(seed)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_levels_that_are_prices_are_those_of_the_slow_engine(seed):
    bars, said = at_prices(seed)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_exits_that_are_too_small_to_be_sent_are_those_of_the_slow_engine(seed):
    bars, said = of_little_worth(seed)
    assert_agrees(bars, said)


@pytest.mark.parametrize("name", ["A-B", "Z-B"])
def test_a_trailing_stop_is_not_lifted_by_its_own_bar_while_another_market_decides(name):
    prices = [(100, 100, 100, 100), (100, 101, 99, 100), (100, 101, 99, 100), (110, 120, 107, 115)]
    bars = [slow.Bar(n * HOUR, name, *map(float, one)) for n, one in enumerate(prices)]
    others = [slow.Bar(n * HOUR, "M-B", 50.0, 50.0, 50.0, 50.0) for n in range(len(prices))]
    for one in bars + others:
        one.said = dict.fromkeys(LEVELS, math.nan)
    bars[0].target, others[3].target = 0.4, 0.4  # decided in the bar whose low is 107
    said = slow.Rules(trail=("share", 0.1))
    made = assert_agrees(bars + others, said)
    assert [one.symbol for one in made.fills] == [name]


@AGREES
@given(SEEDS)
def test_market_orders_from_one_purse_are_those_of_the_slow_engine(seed):
    bars, said = case(seed, plain=True, size=30)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_finer_bars_say_what_came_first(seed):
    bars, said = case(seed, fine=True, size=8)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_they_say_too_what_comes_first_of_a_stop_and_an_entry_for_more(seed):
    bars, said = by_little(seed, fine=True)
    assert_agrees(bars, said)


@MANY
@given(SEEDS)
def test_machine_code_is_python_to_the_last_bit(seed):
    bars, said = case(seed, size=24)
    markets, rules = markets_of(bars), rules_of(said)
    one = simulate(markets, rules, 0, by="python")
    other = simulate(markets, rules, 0, by="machine")
    assert one.fills == other.fills
    for name in ("equity", "cash", "exposure"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("by", ["events", "python", "machine"])
def test_more_lots_than_machine_code_can_count_are_bought_all_the_same(by):
    price = np.array([4e-5, 4e-5, 4e-5, 2e-5])
    ts = np.arange(4, dtype=np.int64) * HOUR
    cheap = Market("A-B", ts, price, price, np.array([0.3, 1.0, 1.0, 1.0]))
    costs = Costs(quantity_decimals=8)
    made = simulate([cheap], Rules(1e7, costs, "1h"), 0, by=by)
    assert [one.qty for one in made.fills] == pytest.approx([7.5e10, 1.75e11])
    assert made.equity.tolist() == pytest.approx([1e7, 1e7, 1e7, 5e6])


@MANY
@given(SEEDS)
def test_visiting_fills_is_the_loop_over_bars_to_the_last_bit(seed):
    markets, rules = plain_case(seed)
    one = simulate(markets, rules, 0, by="events")
    other = simulate(markets, rules, 0, by="python")
    assert one.fills == other.fills
    for name in ("equity", "cash", "exposure"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@MANY
@given(SEEDS)
def test_a_run_that_visited_fills_is_gone_on_from_as_the_loop_is(seed):
    markets, rules = plain_case(seed)
    moments = np.unique(np.concatenate([one.ts for one in markets]))
    cut = int(moments[seed % moments.size])
    early = [before(one, cut) for one in markets]
    whole = simulate(markets, rules, 0, by="events")
    first = simulate(early, rules, 0, by="events")
    second = simulate(markets, rules, cut, first.carried)
    assert first.fills + second.fills == whole.fills
    assert np.concatenate((first.equity, second.equity)).tobytes() == whole.equity.tobytes()
    looped = simulate(early, rules, 0, by="python").carried
    assert first.carried.account == looped.account
    assert first.carried.ring["target"].tobytes() == looped.ring["target"].tobytes()


@pytest.mark.parametrize("by", ["events", "python"])
@pytest.mark.parametrize(
    ("later", "latency", "said"),
    [
        (["C"], 0, "is of A, and the bars are of C; go on over the same symbols"),
        (["A", "C"], 0, "is of A, and the bars are of A, C; go on over the same symbols"),
        (["A"], 1, "is of a run with a latency of 0 bars, and the rules say 1"),
        (["A"], 0, "ends with the bar of 1970-01-01T02:00:00Z, and a bar opens at 1970-01-01T02"),
    ],
)
def test_what_is_carried_is_gone_on_from_over_later_bars_of_the_same_symbols_only(
    by, later, latency, said
):
    def rising(symbol, begin):
        ts = np.arange(begin, begin + 3) * HOUR
        return Market(symbol, ts, np.full(3, 100.0), np.full(3, 110.0), np.ones(3))

    rules = Rules(1_000.0, Costs(), "1h")
    carried = simulate([rising("A", 0)], rules, 0, by=by).carried
    begin = 2 if "ends with" in said else 3
    markets = [rising(one, begin) for one in later]
    with pytest.raises(UsageError, match=said):
        simulate(markets, rules._replace(latency=latency), 0, carried)


def plain_case(seed):
    """Markets and rules under which nothing depends on the path."""
    bars, said = case(seed, plain=True, shorts=False)
    plain = {"unit": "fraction", "participation": None, "impact": False}
    rules = rules_of(replace(said, **plain, max_bars=0, cooldown=0))
    assert not rules.path_dependent
    return markets_of(bars), rules


def before(market, cut):
    """The bars that open before `cut`."""
    rows = int(np.searchsorted(market.ts, cut))
    columns = {name: one[:rows] for name in BARS if (one := getattr(market, name)) is not None}
    return replace(market, **columns, levels={n: one[:rows] for n, one in market.levels.items()})


def test_machine_code_that_is_not_there_yet_is_made_for_long_work_only(monkeypatch):
    asked = []
    monkeypatch.setattr(stepping, "kept", lambda: asked.append(1) or False)
    assert not stepping.is_worth_it(stepping.LONG - 1)
    assert not asked  # small work does not even look
    assert not stepping.is_worth_it(stepping.VERY_LONG - 1)
    assert stepping.is_worth_it(stepping.VERY_LONG)
    monkeypatch.setattr(stepping, "kept", lambda: True)
    assert stepping.is_worth_it(stepping.LONG)


def test_machine_code_is_found_on_disk_once_it_is_made():
    bars, said = case(1)
    simulate(markets_of(bars), rules_of(said), 0, by="machine")
    assert compiled.kept()


# ---- what always holds


def either(seed):
    """Short and long, of any orders; from whole numbers of cases."""
    return case(seed, fine=seed % 3 == 0, plain=seed % 5 == 0, shorts=seed % 2 == 0)


@FEW
@given(SEEDS)
def test_money_changes_by_prices_fees_slippage_and_borrowing_only(seed):
    bars, said = either(seed)
    said = replace(said, fill="next_open")  # fills at closes are stamped like the next bar's
    made = simulate(markets_of(bars), rules_of(said), 0, by="python")
    closes = {(bar.ts, bar.symbol): bar.close for bar in bars}
    symbols = {bar.symbol for bar in bars}
    held, last = dict.fromkeys(symbols, 0.0), dict.fromkeys(symbols, 0.0)
    spent, fees, fills, earned = 0.0, 0.0, list(made.fills), 0.0
    for ts, equity, cash in zip(
        *(x.tolist() for x in (made.ts, made.equity, made.cash)), strict=True
    ):
        now = {s: closes.get((ts, s), last[s]) for s in symbols}
        earned += sum(held[s] * (now[s] - last[s]) for s in symbols)
        while fills and fills[0].ts <= ts:
            one = fills.pop(0)
            signed = one.qty if one.side == "buy" else -one.qty
            reference = one.price - math.copysign(one.slippage / one.qty, signed)
            earned += signed * (now[one.symbol] - reference)
            held[one.symbol] += signed
            spent += one.slippage
            fees += one.fee
        scale = 1e-9 * (said.cash + sum(one.qty * one.price for one in made.fills))
        if not said.borrow:
            assert equity == pytest.approx(said.cash + earned - spent - fees, abs=scale)
        worth = sum(held[s] * now[s] for s in symbols)
        assert equity == pytest.approx(cash + worth, abs=scale)
        last = now
    assert made.equity[-1] == pytest.approx(
        said.cash + earned - spent - fees - made.borrowed, abs=scale
    )


@FEW
@given(SEEDS)
def test_without_shorts_neither_cash_nor_holdings_fall_below_zero(seed):
    bars, said = case(seed, shorts=False, fine=seed % 2 == 0)
    made = simulate(markets_of(bars), rules_of(said), 0, by="python")
    assert (made.cash >= 0).all()
    held = dict.fromkeys((bar.symbol for bar in bars), 0.0)
    for one in made.fills:
        held[one.symbol] += one.qty if one.side == "buy" else -one.qty
        assert held[one.symbol] >= -1e-9 * one.qty


@FEW
@given(SEEDS)
def test_the_order_in_which_markets_are_named_changes_nothing(seed):
    bars, said = either(seed)
    markets, rules = markets_of(bars), rules_of(said)
    one = simulate(markets, rules, 0, by="python")
    other = simulate(markets[::-1], rules, 0, by="python")
    assert one.fills == other.fills
    assert one.equity.tobytes() == other.equity.tobytes()


@FEW
@given(SEEDS)
def test_twice_the_money_makes_twice_the_profit_where_nothing_is_cut(seed):
    bars, said = either(seed)
    said = replace(
        said, minimum=0.0, later=None, min_notional=0.0, decimals=None, participation=None,
        impact=False, unit="fraction",
    )  # fmt: skip
    once = simulate(markets_of(bars), rules_of(said), 0, by="python")
    twice = simulate(markets_of(bars), rules_of(replace(said, cash=2 * said.cash)), 0, by="python")
    assert twice.equity == pytest.approx(2 * once.equity, rel=1e-9, abs=1e-9 * said.cash)


@MANY
@given(SEEDS)
def test_a_run_split_in_two_is_the_whole_run(seed):
    bars, said = either(seed)
    rules, moments = rules_of(said), sorted({bar.ts for bar in bars})
    whole = simulate(markets_of(bars), rules, 0, by="python")
    cut = moments[seed % len(moments)]
    early, late = [b for b in bars if b.ts < cut], [b for b in bars if b.ts >= cut]
    if {b.symbol for b in early} != {b.symbol for b in late}:
        return  # a market that is not there yet has nothing to carry
    first = simulate(markets_of(early), rules, 0, by="python")
    second = simulate(markets_of(late), rules, 0, first.carried, by="python")
    assert first.fills + second.fills == whole.fills
    assert np.concatenate((first.equity, second.equity)).tobytes() == whole.equity.tobytes()
    assert second.borrowed == whole.borrowed
