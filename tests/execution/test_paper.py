"""The paper broker fills at the backtest's price and fee, and says the same when asked again."""

from __future__ import annotations

from decimal import Decimal

from cq.backtest.account import Costs, filled
from cq.execution.orders import Order
from cq.execution.paper import PaperBroker

COSTS = Costs(taker=0.007, minimum_fee=1.0, slippage_bps=5)
ORDER = Order("a1", "BTC-BRL", "sell", Decimal("0.25"), Decimal("480000.5"), 0.0, 10, 20)


def test_an_order_is_filled_whole_at_the_backtests_price_and_fee() -> None:
    report = PaperBroker(COSTS).submit(ORDER)
    assert report.event == "filled"
    assert report.fill == filled(ORDER.sized(), 20, COSTS)
    assert report.fill.price == 480000.5 * (1 - 5 / 10_000)
    assert report.fill.fee == 0.007 * 0.25 * report.fill.price


def test_asked_twice_it_says_the_same() -> None:
    broker = PaperBroker(COSTS)
    assert broker.submit(ORDER) == broker.submit(ORDER)
