"""What visiting fills makes of an account; that it gives what the loop does is in test_stepping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settling import settle

from cq.backtest.account import Account, Costs, Fill, Intent
from cq.backtest.events import Purse

SYMBOLS = "ABCD"

money = st.floats(0, 1e9)
prices = st.floats(1e-6, 1e6)
costs_of_all_kinds = st.builds(
    Costs,
    taker=st.sampled_from([0.0, 0.001, 0.007]),
    minimum_fee=st.sampled_from([0.0, 1.0]),
    slippage_bps=st.sampled_from([0.0, 5.0, 50.0]),
    quantity_decimals=st.sampled_from([None, 2, 8]),
    min_notional=st.sampled_from([0.0, 1.0, 10.0]),
    max_gross_exposure=st.sampled_from([0.5, 1.0, 2.0]),
    tick=st.sampled_from([None, 0.01]),
    half_ticks=st.sampled_from([None, 0.5]),
)


def settled(cash, held, wishes, prices, costs, when=9):
    purse = Purse(cash, list(held))
    purse.settle(wishes, prices, when, costs)
    fills = [
        Fill(ts, SYMBOLS[who], "buy" if signed > 0 else "sell", abs(signed), *rest)
        for ts, who, _, signed, *rest in purse.fills
    ]
    left = {name: qty for name, qty in zip(SYMBOLS, purse.held, strict=False) if qty}
    return Account(purse.cash, left), fills


def test_what_a_sell_brings_pays_the_buy_of_the_same_moment():
    account, fills = settled(0.0, [10.0, 0.0], [(0, 0.0), (1, 1.0)], [5.0, 2.0], Costs())
    assert [(one.symbol, one.side, one.qty, one.ts) for one in fills] == [
        ("A", "sell", 10.0, 9),
        ("B", "buy", 25.0, 9),
    ]
    assert account == Account(0.0, {"B": 25.0})


def test_sells_come_by_name_and_buys_from_the_largest_target_down():
    wishes = [(0, 0.1), (1, 0.0), (2, 0.5), (3, 0.0)]
    _, fills = settled(100.0, [0.0, 1.0, 0.0, 1.0], wishes, [1.0] * 4, Costs())
    assert "".join(one.symbol for one in fills) == "BDCA"


cases = st.fixed_dictionaries(
    {
        "cash": money,
        "held": st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=4, max_size=4),
        "prices": st.lists(prices, min_size=4, max_size=4),
        "targets": st.dictionaries(st.integers(0, 3), st.just(0.0) | st.floats(0, 1), min_size=1),
        "costs": costs_of_all_kinds,
    }
)


@given(cases)
def test_a_purse_settles_as_an_account_does_to_the_bit(case):
    marks = dict(zip(SYMBOLS, case["prices"], strict=True))
    before = {name: qty for name, qty in zip(SYMBOLS, case["held"], strict=True) if qty}
    intents = [Intent(SYMBOLS[who], target, 0) for who, target in case["targets"].items()]
    expected = settle(Account(case["cash"], before), intents, marks, marks, 9, case["costs"])
    wishes = sorted(case["targets"].items())
    assert settled(case["cash"], case["held"], wishes, case["prices"], case["costs"]) == expected


@given(cases)
def test_cash_and_positions_never_fall_below_zero_and_nothing_is_made_from_nothing(case):
    marks, costs = dict(zip(SYMBOLS, case["prices"], strict=True)), case["costs"]
    before = Account(case["cash"], dict(zip(SYMBOLS, case["held"], strict=True)))
    wishes = sorted(case["targets"].items())
    after, fills = settled(case["cash"], case["held"], wishes, case["prices"], costs)
    assert after.cash >= 0
    assert all(qty > 0 for qty in after.positions.values())
    paid = sum(one.fee + one.slippage for one in fills)
    worth = before.equity(marks)
    dust = 0.51 * 10.0 ** -(costs.quantity_decimals or 99) * sum(marks.values()) * len(fills)
    assert after.equity(marks) == pytest.approx(
        worth - paid, rel=1e-9, abs=1e-9 * (worth + paid) + dust
    )
