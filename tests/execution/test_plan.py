"""What fills together becomes orders: the backtest's order, sizes and caps, then the rules."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from settling import settle

from cq.backtest.account import Account, Costs, Fill, Intent
from cq.execution.plan import Group, Terms, part, planned, prospect_of
from cq.execution.risk import MaxGrossExposure, MaxPosition, Rule, StaleOrder
from cq.utils.time import HOUR

COSTS = Costs(taker=0.007, slippage_bps=5, quantity_decimals=8, min_notional=1)
TERMS = Terms("1h", 1000.0, COSTS)
PRICES = {"BTC-BRL": 100.0, "ETH-BRL": 10.0, "SOL-BRL": 1.0}
HELD = Account(200.0, {"BTC-BRL": 8.0})


def group(intents: list[Intent], rules: tuple[Rule, ...] = (), terms: Terms = TERMS) -> Group:
    return planned(intents, HELD, terms, rules, HOUR, PRICES, PRICES, "session")


INTENTS = [
    Intent("SOL-BRL", 0.3, 0),
    Intent("ETH-BRL", 0.6, 0),
    Intent("BTC-BRL", 0.0, 0),
]


def test_orders_are_those_of_the_account_in_its_order_and_sizes() -> None:
    _, fills = settle(HELD, INTENTS, PRICES, PRICES, HOUR, COSTS)
    orders = group(INTENTS).orders
    assert [one.symbol for one in orders] == ["BTC-BRL", "ETH-BRL", "SOL-BRL"]
    assert [(o.symbol, o.side, float(o.quantity)) for o in orders] == [
        (fill.symbol, fill.side, fill.qty) for fill in fills
    ]


def test_what_is_too_small_is_nothing() -> None:
    small = Intent("SOL-BRL", 0.0005, 0)
    assert group([small]) == Group(nothing=[small])


def test_the_cash_of_a_blocked_buy_stays_for_the_next() -> None:
    found = group(INTENTS, (MaxPosition(0.4),))
    assert [(intent.symbol, rule) for intent, rule, _ in found.blocked] == [
        ("ETH-BRL", "max_position")
    ]
    assert [one.symbol for one in found.orders] == ["BTC-BRL", "SOL-BRL"]


def test_the_gross_limit_counts_what_the_group_has_bought_already() -> None:
    found = group(INTENTS, (MaxGrossExposure(0.7),))
    assert [one.symbol for one in found.orders] == ["BTC-BRL", "ETH-BRL"]
    assert [intent.symbol for intent, _, _ in found.blocked] == ["SOL-BRL"]


def test_what_waited_too_long_is_sold_and_not_bought() -> None:
    rules, later = (StaleOrder(3),), 6 * HOUR
    found = planned(INTENTS, HELD, TERMS, rules, later, PRICES, PRICES, "session")
    assert [one.symbol for one in found.orders] == ["BTC-BRL"]
    assert {(intent.symbol, rule) for intent, rule, _ in found.blocked} == {
        ("ETH-BRL", "stale_data"),
        ("SOL-BRL", "stale_data"),
    }
    assert "5.0 intervals after the one before it had closed" in found.blocked[0][2]
    assert not planned(INTENTS, HELD, TERMS, rules, 4 * HOUR, PRICES, PRICES, "session").blocked


def test_ids_are_of_session_decision_and_symbol() -> None:
    again = group(list(reversed(INTENTS)))
    assert {o.client_id for o in again.orders} == {o.client_id for o in group(INTENTS).orders}


@pytest.mark.parametrize(("fill", "ts"), [("next_open", HOUR), ("next_close", 2 * HOUR)])
def test_an_order_is_filled_at_its_bars_open_or_end(fill: str, ts: int) -> None:
    terms = replace(TERMS, fill=fill)  # type: ignore[arg-type]
    assert {order.fill_ts for order in group(INTENTS, terms=terms).orders} == {ts}


def test_a_prospect_shows_where_a_fill_leads() -> None:
    fill = Fill(HOUR, "ETH-BRL", "buy", 10.0, 10.0, 0.0, 0.0)
    found = prospect_of(fill, HELD, 1000.0, PRICES, 0.0)
    assert (found.target, found.held, found.gross) == (0.1, 0.0, 0.9)
    sold = Fill(HOUR, "BTC-BRL", "sell", 2.0, 100.0, 0.0, 0.0)
    sale = prospect_of(sold, HELD, 1000.0, PRICES, 0.0)
    assert (sale.target, sale.held, sale.reduces) == (pytest.approx(0.6), 0.8, True)


def test_a_part_of_no_equity_is_not_a_number() -> None:
    assert math.isnan(part(1.0, 0.0))
