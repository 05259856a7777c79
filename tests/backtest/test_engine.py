"""The engine against a slow, obvious one, on generated markets, and by what must always hold."""

from __future__ import annotations

import math

import makers
import numpy as np
import pytest
import reference_engine as slow
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cq.backtest.account import Costs
from cq.backtest.engine import buy_and_hold, simulate
from cq.backtest.market import Market, Rules
from cq.errors import DataError

HOUR = makers.HOUR


def market(frame, targets):
    return Market(
        frame.item(0, "symbol"),
        frame["ts"].to_numpy(),
        frame["open"].to_numpy(),
        frame["close"].to_numpy(),
        np.array([math.nan if one is None else one for one in targets], dtype=float),
    )


def hand(opens, closes, targets, symbol="A-B", hours=None):
    hours = range(len(opens)) if hours is None else hours
    ts = np.array([hour * HOUR for hour in hours], dtype=np.int64)
    opens, closes, targets = (np.array(one, dtype=float) for one in (opens, closes, targets))
    return Market(symbol, ts, opens, closes, targets)


def rules(**changes):
    values = {"cash": 1_000.0, "costs": Costs(), "interval": "1h"} | changes
    return Rules(**values)


def fills_of(made):
    return [(one.ts // HOUR, one.symbol, one.side, one.qty) for one in made.fills]


def test_a_decision_is_filled_at_the_next_bars_open():
    made = simulate([hand([10, 20, 25], [11, 22, 50], [1, 1, 1])], rules(), 0)
    assert fills_of(made) == [(1, "A-B", "buy", 50.0)]
    assert made.fills[0].price == 20
    assert made.equity.tolist() == [1_000, 1_100, 2_500]
    assert made.cash.tolist() == [1_000, 0, 0]
    assert made.exposure.tolist() == [0, 1, 1]


def test_or_at_its_close_and_then_says_when_the_bar_ended():
    made = simulate([hand([10, 20, 25], [11, 25, 50], [1, 1, 1])], rules(fill="next_close"), 0)
    assert fills_of(made) == [(2, "A-B", "buy", 40.0)]
    assert made.equity.tolist() == [1_000, 1_000, 2_000]


def test_a_decision_at_the_last_bar_is_not_filled():
    assert simulate([hand([1, 1], [1, 1], [0, 1])], rules(), 0).fills == []


def test_a_missing_bar_delays_the_fill_to_the_next_one():
    made = simulate([hand([1, 2, 4], [1, 2, 4], [1, 1, 1], hours=[0, 5, 6])], rules(), 0)
    assert fills_of(made) == [(5, "A-B", "buy", 500.0)]


def test_no_target_decides_nothing():
    nan = math.nan
    made = simulate([hand([1] * 5, [1] * 5, [nan, 1, nan, nan, 1])], rules(), 0)
    assert fills_of(made) == [(2, "A-B", "buy", 1_000.0)]


def test_history_before_the_start_is_neither_traded_nor_shown():
    made = simulate([hand([1, 2, 4, 8], [1, 2, 4, 8], [1, 1, 1, 1])], rules(), 2 * HOUR)
    assert made.ts.tolist() == [2 * HOUR, 3 * HOUR]
    assert fills_of(made) == [(3, "A-B", "buy", 125.0)]


@pytest.mark.parametrize("by", ["events", "python"])
def test_where_no_bar_opens_from_the_start_on_nothing_happens(by):
    made = simulate([hand([1, 2], [1, 2], [1, 1])], rules(), 9 * HOUR, by=by)
    assert made.fills == []
    assert made.ts.size == made.equity.size == made.cash.size == made.exposure.size == 0
    assert made.account.cash == 1_000


@pytest.mark.parametrize("by", ["events", "python", "machine"])
def test_a_sale_below_one_tick_gets_no_more_than_the_market_pays(by):
    if by == "machine":
        pytest.importorskip("numba")
    worth = [1.0, 1.0, 0.003, 0.01, 0.0151]
    made = simulate(
        [hand(worth, worth, [1, 0.5, 0.2, 0.0, 0.0])], rules(costs=Costs(tick=0.01)), 0, by=by
    )
    assert [one.price for one in made.fills] == [1.0, 0.003, 0.01, 0.01]
    assert [one.side for one in made.fills] == ["buy", "sell", "sell", "sell"]
    assert made.fills[1].slippage == 0
    low = simulate(
        [hand([0.003] * 3, [0.003] * 3, [1, 0, 0])],
        rules(costs=Costs(tick=0.01, slippage_bps=100)), 0, by=by,
    )  # fmt: skip
    assert [one.price for one in low.fills] == [0.01, pytest.approx(0.003 * 0.99)]


def test_small_changes_within_the_band_are_left_alone():
    targets = [0.5, 0.55, 0.59, 0.61, 0.0]
    flat = [1.0] * 5
    made = simulate([hand(flat, flat, targets)], rules(band=0.1), 0)
    assert [(when, side) for when, _, side, _ in fills_of(made)] == [(1, "buy"), (4, "buy")]
    made = simulate([hand([1.0] * 6, [1.0] * 6, [*targets, 0.0])], rules(band=0.1), 0)
    assert fills_of(made)[-1] == (5, "A-B", "sell", 610.0)


def test_a_target_above_the_cap_is_the_cap():
    made = simulate([hand([1, 1, 1], [1, 1, 1], [0.9, 0.7, 0.9])], rules(max_position=0.6), 0)
    assert fills_of(made) == [(1, "A-B", "buy", 600.0)]


def test_a_market_without_a_bar_is_valued_at_its_last_close():
    first = hand([1, 1, 9], [1, 3, 9], [1, 1, 1], hours=[0, 1, 9])
    other = hand([5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 0, 0], "C-D", hours=[0, 2, 3, 9])
    made = simulate([first, other], rules(), 0)
    assert made.ts.tolist() == [hour * HOUR for hour in (0, 1, 2, 3, 9)]
    assert made.equity.tolist() == [1_000, 3_000, 3_000, 3_000, 9_000]


def test_markets_share_one_purse_and_sells_pay_for_buys():
    first = hand([1, 1, 2, 2], [1, 1, 2, 2], [1, 0, 0, 0])
    other = hand([5, 5, 5, 5], [5, 5, 5, 5], [0, 1, 1, 1], "C-D")
    made = simulate([first, other], rules(), 0)
    assert fills_of(made) == [
        (1, "A-B", "buy", 1_000.0),
        (2, "A-B", "sell", 1_000.0),
        (2, "C-D", "buy", 400.0),
    ]


@pytest.mark.parametrize("hours", [[0.5, 1.5, 2.5], [0.01, 1.01], [-0.125], [0, 1, 2.25]])
@pytest.mark.parametrize("by", ["events", "python"])
def test_bars_of_two_symbols_that_overlap_are_refused(hours, by):
    """The close of one, or what its stop brings in, would be there before it is known."""
    one = hand([1.0] * 3, [1.0] * 3, [1.0] * 3)
    flat = [1.0] * len(hours)
    other = hand(flat, flat, flat, "C-D", hours=hours)
    with pytest.raises(DataError, match=r"A-B opens at 19.*C-D at 19|C-D opens at 19.*A-B at 19"):
        simulate([one, other], rules(), -HOUR, by=by)


@pytest.mark.parametrize("hours", [[0, 1, 2.95, 4], [0.0, 1, 7.5, 8.5]])
def test_bars_that_do_not_overlap_need_no_common_grid(hours):
    """Days of a place with summer time have 23 hours to 25."""
    one = hand([1.0] * 3, [1.0] * 3, [0.5] * 3)
    other = hand([1.0] * 4, [1.0] * 4, [0.5] * 4, "C-D", hours=hours)
    assert len(simulate([one, other], rules(), 0).fills) == 2


def test_a_market_that_starts_late_joins_when_it_is_there():
    first = hand([1, 1, 1], [1, 1, 1], [0, 0, 0])
    late = hand([4, 4, 5], [4, 4, 5], [1, 1, 1], "C-D", hours=[1, 2, 4])
    made = simulate([first, late], rules(), 0)
    assert fills_of(made) == [(2, "C-D", "buy", 250.0)]
    assert made.equity.tolist() == [1_000, 1_000, 1_000, 1_250]


@st.composite
def cases(draw):
    symbols = draw(st.sampled_from([("A-B",), ("A-B", "C-D"), ("A-B", "C-D", "E-F")]))
    bars = draw(makers.bars(symbols=symbols, min_size=1, max_size=25))
    target = st.sampled_from([None, 0.0, 0.0, 0.1, 0.25, 0.3, 0.5, 1.0, 1.0, 1.5])
    targets = draw(st.lists(target, min_size=bars.height, max_size=bars.height))
    gross = draw(st.sampled_from([0.5, 1.0, 2.0]))
    said = slow.Rules(
        cash=draw(st.sampled_from([0.5, 1_000.0, 1e7])),
        fill=draw(st.sampled_from(["next_open", "next_close"])),
        taker=draw(st.sampled_from([0.0, 0.001, 0.007])),
        minimum_fee=draw(st.sampled_from([0.0, 0.0, 5.0])),
        bps=draw(st.sampled_from([0.0, 5.0, 100.0])),
        decimals=draw(st.sampled_from([None, 0, 4, 8])),
        min_notional=draw(st.sampled_from([0.0, 1.0, 50.0])),
        max_position=draw(st.sampled_from([0.4, 1.0])) * gross,
        max_gross=gross,
        band=draw(st.sampled_from([0.0, 0.0, 0.1, 0.3])),
    )
    start = draw(st.sampled_from([0, 0, 3 * HOUR]))
    return bars.with_columns(target=np.array(targets, dtype=float)), targets, said, start


def fast(bars, said, start):
    parts = bars.partition_by("symbol", maintain_order=True)
    costs = Costs(
        taker=said.taker,
        minimum_fee=said.minimum_fee,
        slippage_bps=said.bps,
        quantity_decimals=said.decimals,
        min_notional=said.min_notional,
        max_gross_exposure=said.max_gross,
    )
    of = Rules(said.cash, costs, "1h", said.fill, said.max_position, said.band)
    return simulate([market(part, part["target"].to_list()) for part in parts], of, start)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_the_engine_agrees_with_the_slow_one(case):
    bars, targets, said, start = case
    rows = bars.select("ts", "symbol", "open", "close").rows()
    known = [slow.Bar(*row, target=one) for row, one in zip(rows, targets, strict=True)]
    trades, curve = slow.trade(known, said, start)
    assume(not said.on_edge)
    made = fast(bars, said, start)
    assert [(one.ts, one.symbol, one.side) for one in made.fills] == [
        (one["ts"], one["symbol"], one["side"]) for one in trades
    ]
    for key in ("qty", "price", "fee", "slippage"):
        ours = [getattr(one, key) for one in made.fills]
        assert ours == pytest.approx([one[key] for one in trades], rel=1e-9, abs=1e-12), key
    assert made.ts.tolist() == [one[0] for one in curve]
    assert made.equity.tolist() == pytest.approx([one[1] for one in curve], rel=1e-9)
    # cash is what is left of amounts whose lots are told to 10⁻¹² of them
    hair = 4e-12 * (said.cash + sum(one["qty"] * one["price"] for one in trades))
    assert made.cash.tolist() == pytest.approx([one[2] for one in curve], rel=1e-9, abs=hair)


@settings(max_examples=120, deadline=None)
@given(cases())
def test_equity_changes_only_by_prices_fees_and_slippage(case):
    bars, _, said, start = case
    made = fast(bars, said, start)
    assert (made.cash >= 0).all()
    closes = {(ts, s): close for ts, s, close in bars.select("ts", "symbol", "close").rows()}
    held: dict[str, float] = {}
    last: dict[str, float] = {}
    fills = iter(made.fills)
    after = HOUR if said.fill == "next_close" else 0
    pending = next(fills, None)
    worth, traded = said.cash, 1.0
    for ts, equity in zip(made.ts.tolist(), made.equity.tolist(), strict=True):
        moved = 0.0
        before = dict(held)
        now = {s: closes.get((ts, s), last.get(s)) for s in {*held, *last, *bars["symbol"]}}
        for symbol, qty in before.items():
            moved += qty * (now[symbol] - last[symbol])
        while pending is not None and pending.ts - after == ts:
            sign = 1 if pending.side == "buy" else -1
            moved += sign * pending.qty * (now[pending.symbol] - pending.price) - pending.fee
            held[pending.symbol] = held.get(pending.symbol, 0.0) + sign * pending.qty
            traded += pending.qty * pending.price
            pending = next(fills, None)
        assert equity == pytest.approx(worth + moved, rel=1e-9, abs=1e-9 * (said.cash + traded))
        worth, last = equity, now
    assert pending is None
    assert all(made.account.held(one) >= 0 for one in held)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_twice_the_money_makes_twice_the_profit_where_nothing_is_cut(case):
    bars, _, said, start = case
    said.minimum_fee = said.min_notional = 0.0
    said.decimals = None
    once = fast(bars, said, start)
    said.cash *= 2
    twice = fast(bars, said, start)
    assert twice.equity == pytest.approx(2 * once.equity, rel=1e-9)


def held(hours, *markets):
    return buy_and_hold(
        markets, hours[0] * HOUR, np.array(hours, dtype=np.int64) * HOUR, 100.0
    ).tolist()


def test_buy_and_hold_buys_at_the_first_open():
    assert held([0, 1], hand([10.0, 9], [20.0, 5], [0, 0])) == [200, 50]


def test_a_market_that_starts_late_waits_as_cash_and_history_does_not_count():
    early = hand([1.0, 10, 10, 10], [1.0, 10, 20, 20], [0] * 4, "A-B", [-2, 0, 1, 2])
    late = hand([5.0], [10.0], [0], "B-B", [2])
    assert held([0, 1, 2], early, late) == [100, 150, 200]
