"""The account's arithmetic, by hand and by what must always hold."""

from __future__ import annotations

import pytest

from cq.backtest.account import (
    Account,
    Costs,
    Fill,
    Intent,
    Order,
    filled,
    in_order,
    sized,
)

FREE = Costs()


def buy_all(cash: float, reference: float, costs: Costs, target: float = 1.0) -> Order | None:
    account = Account(cash)
    return sized(Intent("A", target, 0), account, cash, reference, {"A": reference}, costs)


def test_a_full_target_without_costs_spends_all_cash():
    assert buy_all(1000.0, 50.0, FREE) == Order("A", "buy", 20.0, 50.0, 1.0)


def test_a_buy_is_cut_to_what_cash_pays_with_its_fee():
    costs = Costs(taker=0.01, slippage_bps=100)
    order = buy_all(1000.0, 50.0, costs)
    assert order is not None
    fill = filled(order, 7, costs)
    assert fill.price == 50.0 * 1.01
    assert fill.qty * fill.price + fill.fee == pytest.approx(1000.0, rel=1e-12)
    assert Account(1000.0).after(fill, costs).cash == pytest.approx(0.0, abs=1e-9)


def test_the_minimum_fee_binds_for_small_orders():
    costs = Costs(taker=0.001, minimum_fee=10.0)
    order = buy_all(100.0, 1.0, costs)
    assert order is not None
    assert order.qty == 90.0
    assert filled(order, 0, costs).fee == 10.0


def test_cash_below_the_minimum_fee_buys_nothing():
    assert buy_all(5.0, 1.0, Costs(minimum_fee=10.0)) is None


def test_quantities_are_cut_never_rounded_up():
    order = buy_all(100.0, 3.0, Costs(quantity_decimals=2))
    assert order is not None
    assert order.qty == 33.33


def test_an_order_worth_less_than_the_minimum_is_not_sent():
    assert buy_all(9.0, 3.0, Costs(min_notional=10.0)) is None
    assert buy_all(10.0, 3.0, Costs(min_notional=10.0)) is not None


def test_an_order_cut_below_the_minimum_is_not_sent():
    account = Account(9.0, {"B": 91.0})
    intent = Intent("A", 0.5, 0)
    assert sized(intent, account, 100.0, 1.0, {"A": 1.0, "B": 1.0}, Costs(min_notional=10)) is None


def test_a_target_of_zero_sells_everything_uncut():
    account = Account(0.0, {"A": 1.23456})
    order = sized(Intent("A", 0.0, 0), account, 12.0, 10.0, {}, Costs(quantity_decimals=2))
    assert order == Order("A", "sell", 1.23456, 10.0, 0.0)


def test_a_lower_target_sells_the_difference_cut():
    account = Account(0.0, {"A": 10.0})
    order = sized(Intent("A", 1 / 3, 0), account, 100.0, 10.0, {}, Costs(quantity_decimals=2))
    assert order is not None
    assert (order.side, order.qty) == ("sell", 6.66)


def test_selling_nothing_sends_nothing():
    assert sized(Intent("A", 0.0, 0), Account(10.0), 10.0, 1.0, {}, FREE) is None


def test_a_sell_that_cannot_pay_its_fee_is_not_made():
    account = Account(1.0, {"A": 1.0})
    costs = Costs(minimum_fee=5.0)
    assert sized(Intent("A", 0.0, 0), account, 4.0, 3.0, {}, costs) is None
    assert sized(Intent("A", 0.0, 0), account, 5.0, 4.0, {}, costs) is not None


def test_gross_exposure_leaves_room_only_up_to_its_cap():
    account = Account(50.0, {"B": 5.0})
    marks = {"A": 1.0, "B": 10.0}
    order = sized(Intent("A", 0.5, 0), account, 100.0, 1.0, marks, Costs(max_gross_exposure=0.8))
    assert order is not None
    assert order.qty == pytest.approx(30.0, rel=1e-12)


def test_sells_come_first_then_buys_from_the_largest_target_down():
    account = Account(0.0, {"D": 1.0, "C": 1.0})
    intents = [Intent(name, target, 0) for name, target in
               [("A", 0.2), ("B", 0.5), ("E", 0.2), ("D", 0.0), ("C", 0.0)]]  # fmt: skip
    ones = dict.fromkeys("ABCDE", 1.0)
    assert [one.symbol for one in in_order(intents, account, 2.0, ones)] == list("CDBAE")


def test_an_account_forgets_positions_that_are_gone():
    fill = Fill(0, "A", "sell", 2.0, 1.0, 0.0, 0.0)
    assert Account(0.0, {"A": 2.0, "B": 1.0}).after(fill, FREE).positions == {"B": 1.0}


def test_positions_carry_no_binary_dust():
    costs = Costs(quantity_decimals=8)
    account = Account(10.0, {"A": 0.1}).after(Fill(0, "A", "buy", 0.2, 1.0, 0.0, 0.0), costs)
    assert account.positions["A"] == 0.3


def test_equity_does_not_depend_on_the_order_in_which_positions_came():
    marks = {"A": 0.1, "B": 0.7, "C": 1e9}
    one, other = {"A": 3.3, "B": 1.1, "C": 7.7}, {"C": 7.7, "A": 3.3, "B": 1.1}
    assert Account(0.3, one).equity(marks) == Account(0.3, other).equity(marks)
