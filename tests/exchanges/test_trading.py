"""What trading asks of an exchange: orders that make sense, and enough calls to lose none."""

from dataclasses import FrozenInstanceError, replace
from decimal import Decimal
from typing import get_args

import pytest

from cq.errors import OutcomeUnknown, UsageError
from cq.exchanges import Trading
from cq.exchanges.trading import Cancel, OrderReport, OrderRequest, Placed, Status
from cq.execution import orders

D = Decimal
LIMIT = OrderRequest("a-1", "BTC-BRL", "buy", "limit", D("0.001"), price=D("300000"))


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "market", "quantity": D(1)},
        {"kind": "market", "cost": D(100)},
        {"kind": "market", "side": "sell", "quantity": D(1)},
        {"kind": "limit", "quantity": D(1), "price": D(5)},
        {"kind": "post_only", "quantity": D(1), "price": D(5)},
        {"kind": "stop_limit", "side": "sell", "quantity": D(1), "price": D(5), "stop_price": D(6)},
    ],
)
def test_every_kind_of_order_can_be_asked_for(order):
    asked = OrderRequest(**{"client_id": "a", "symbol": "BTC-BRL", "side": "buy", **order})
    with pytest.raises(FrozenInstanceError):
        asked.price = D(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"client_id": ""}, "needs a client_id"),
        ({"side": "long"}, "expected buy or sell"),
        ({"kind": "iceberg"}, "expected buy or sell, and one of market"),
        ({"price": None}, "needs price, has no price"),
        ({"stop_price": D(1)}, "needs price, has price and stop_price"),
        ({"kind": "stop_limit"}, "needs price and stop_price, has price"),
        ({"kind": "market"}, "needs no price, has price"),
        ({"quantity": None}, "needs either quantity or cost"),
        ({"cost": D(5)}, "needs either quantity or cost"),
        ({"quantity": None, "cost": D(5)}, "only a market buy"),
        ({"quantity": 0.001}, "expected a Decimal"),
        ({"quantity": D(0)}, "expected more than 0"),
        ({"price": D("NaN")}, "expected more than 0"),
        ({"price": D("-1")}, "expected more than 0"),
    ],
)
def test_an_order_whose_parts_do_not_go_together_is_refused_in_one_line(change, said):
    with pytest.raises(UsageError, match=said) as caught:
        replace(LIMIT, **change)
    assert "BTC-BRL" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_status_is_one_of_those_that_orders_have():
    assert set(get_args(Status)) | {"unknown"} == set(orders.Status)


class Desk:
    """The smallest exchange that can be traded on; its answers get lost where it is told."""

    name = "desk"

    def __init__(self, lost=()):
        self.reports, self.lost = {}, list(lost)

    def place(self, account, request):
        order_id = str(len(self.reports) + 1)
        self.reports[order_id] = OrderReport(
            order_id, request.client_id, request.symbol, request.side, request.kind, "open",
            request.quantity, D(0), request.price,
        )  # fmt: skip
        if request.client_id in self.lost:
            raise OutcomeUnknown("POST /orders", "no answer")
        return Placed(order_id, request.client_id)

    def cancel(self, account, symbol, order_id):
        self.reports[order_id] = replace(self.reports[order_id], status="canceled")
        return Cancel(order_id, symbol, done=True)

    def cancel_all(self, account, symbol=None):
        found = self.open_orders(account, symbol)
        return [self.cancel(account, one.symbol, one.order_id) for one in found]

    def order(self, account, symbol, order_id):
        return self.reports[order_id]

    def order_of(self, account, symbol, client_id, since_ns):
        found = (one for one in self.reports.values() if one.client_id == client_id)
        return next(found, None)

    def open_orders(self, account, symbol=None):
        return [
            one
            for one in self.reports.values()
            if one.status == "open" and symbol in (None, one.symbol)
        ]


def test_an_order_of_which_nobody_knows_is_found_again_by_its_own_id():
    desk: Trading = Desk(lost=["a-2"])
    desk.place("me", LIMIT)
    with pytest.raises(OutcomeUnknown):
        desk.place("me", replace(LIMIT, client_id="a-2", symbol="ETH-BRL"))
    assert desk.order_of("me", "ETH-BRL", "a-2", 0).status == "open"
    assert desk.order_of("me", "ETH-BRL", "a-3", 0) is None
    assert [one.done for one in desk.cancel_all("me", "ETH-BRL")] == [True]
    assert [one.client_id for one in desk.open_orders("me")] == ["a-1"]
    assert desk.order("me", "ETH-BRL", "2").status == "canceled"
