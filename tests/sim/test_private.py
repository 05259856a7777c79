"""The private endpoints over a real socket, with an HTTP client that is not ours."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from decimal import Decimal
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from cq.sim.clock import SimClock
from cq.sim.holders import LOGIN, PASSWORD, Holder
from cq.sim.private import private_side
from cq.sim.server import running
from cq.sim.simulation import Simulation
from cq.sim.switches import Switches
from cq.sim.tape import Tape
from cq.utils.time import HOUR, SECOND, parse_time

START = parse_time("2026-01-05")
TAPE = Tape.generated(seed=5)
OTHER = Holder("other", "word", {"BTC": Decimal(1)}, read_only=True)


class Client:
    """`client.get("/accounts")` → (status, JSON), by urllib."""

    def __init__(self, rest: str, clock: SimClock) -> None:
        self.rest, self.clock, self.token = rest, clock, ""

    def ask(self, method, path, body=None, headers=None):
        headers = {"Authorization": f"Bearer {self.token}"} if headers is None else headers
        if isinstance(body, dict):
            body, headers = (
                json.dumps(body).encode(),
                headers | {"Content-Type": "application/json"},
            )
        request = Request(self.rest + path, data=body, headers=headers, method=method)
        try:
            with urlopen(request, timeout=10) as reply:
                return reply.status, json.loads(reply.read())
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def get(self, path, **query):
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def delete(self, path, **query):
        return self.ask("DELETE", f"{path}?{urlencode(query)}" if query else path)

    def login(self, login=LOGIN, password=PASSWORD):
        form = {"grant_type": "client_credentials", "scope": "global"}
        form |= {"client_id": login, "client_secret": password}
        status, body = self.ask("POST", "/oauth2/token", urlencode(form).encode(), {})
        assert status == 200, body
        self.token = body["access_token"]
        self.account = self.get("/accounts")[1][0]["id"]
        return body

    def place(self, symbol="BTC-BRL", **order):
        return self.ask("POST", f"/accounts/{self.account}/{symbol}/orders", order)

    def placed(self, **order):
        status, body = self.place(**order)
        assert status == 200, body
        return body["orderId"]

    def order(self, order_id, symbol="BTC-BRL"):
        return self.get(f"/accounts/{self.account}/{symbol}/orders/{order_id}")[1]

    def balances(self):
        return {one["symbol"]: one for one in self.get(f"/accounts/{self.account}/balances")[1]}

    def price(self, share, symbol="BTC-BRL"):
        """A whole price that is `share` of the last one."""
        return int(TAPE.last_price(symbol, self.clock.now_ns()) * Decimal(str(share)))


@pytest.fixture
def opened():
    """Opens a running exchange on a clock that stands still; signed in with the usual key."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def open_one(**switches):
            clock, settings = SimClock(START, speed=0), Switches(**switches)
            side = private_side(TAPE, START, (Holder(), OTHER), settings)
            sim = Simulation(TAPE, clock, settings, exchange=side, limited=False)
            client = Client(stack.enter_context(running(sim)).rest, clock)
            client.side = side
            if settings.oauth2:
                client.login()
            return client

        yield open_one


@pytest.fixture
def client(opened):
    return opened()


def test_both_ways_in_give_a_long_token(client):
    body = client.login()
    assert set(body) == {"access_token", "expires_in", "scope", "token_type"}
    assert (body["expires_in"], body["scope"], body["token_type"]) == (3599, "global", "bearer")
    assert 1200 < len(body["access_token"]) < 1270
    pair = {"login": LOGIN, "password": PASSWORD}
    status, old = client.ask("POST", "/authorize", pair, {})
    assert (status, set(old)) == (200, {"access_token", "expiration"})
    assert old["expiration"] == START // SECOND + 3599


def test_the_newer_way_in_takes_http_basic(client):
    coded = b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
    form = urlencode({"grant_type": "client_credentials"}).encode()
    status, _ = client.ask("POST", "/oauth2/token", form, {"Authorization": f"Basic {coded}"})
    assert status == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"password": "x"}, 422, "API|REQUEST|LOGIN_MUST_BE_REQUIRED"),
        ({"login": "x"}, 422, "API|REQUEST|PASSWORD_MUST_BE_REQUIRED"),
        ({"login": 5, "password": "x"}, 422, "API|UNPROCESSABLE_ENTITY"),
        ({"login": LOGIN, "password": "wrong"}, 400, "AUTHORIZE|AUTHORIZATION|FORBIDDEN"),
        (b"{", 422, "API|UNPROCESSABLE_ENTITY"),
    ],
)
def test_the_older_way_in_says_what_is_wrong(client, body, status, code):
    found, said = client.ask("POST", "/authorize", body, {})
    assert (found, said["code"]) == (status, code)


def test_a_wrong_key_is_the_gateways_business(client):
    form = {"grant_type": "client_credentials", "client_id": LOGIN, "client_secret": "wrong"}
    for text in (urlencode(form), "", "grant_type=password"):
        status, body = client.ask("POST", "/oauth2/token", text.encode(), {})
        assert (status, body["error"]["code"]) == (401, 401)


def test_either_way_in_can_be_shut(opened):
    shut = opened(authorize=False)
    assert shut.ask("POST", "/authorize", {"login": "a", "password": "b"}, {})[0] == 404
    shut = opened(oauth2=False)
    assert shut.ask("POST", "/oauth2/token", b"", {})[1]["code"] == "API|ROUTE_NOT_FOUND"


def test_a_missing_token_is_403_and_one_that_is_not_active_401(client):
    client.clock.advance(HOUR)
    assert client.get("/accounts")[1]["error"]["reason"] == "Access token is not active"
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": client.token}):
        status, body = client.ask("GET", "/accounts", headers=headers)
        expected = {"code": "API|FORBIDDEN", "message": "You need to be authenticated"}
        assert (status, body) == (403, expected)


def test_tokens_expire_when_they_are_told_to(client):
    client.side.expire_tokens()
    assert client.get("/accounts")[0] == 401
    client.login()
    assert client.get("/accounts")[0] == 200


@pytest.mark.parametrize("wording", ["recorded", "reference"])
def test_the_gateway_speaks_as_recorded_or_as_in_the_reference(opened, wording):
    client = opened(gateway_text=wording)
    status, body = client.get(f"/accounts/{'0' * 64}/balances")
    assert (status, body["error"]["status"]) == (403, "Forbidden")
    client.side.expire_tokens()
    assert ("reason" in client.get("/accounts")[1]["error"]) == (wording == "reference")


def test_balances_list_every_asset_also_without_any(client):
    found = client.balances()
    assert found["BRL"]["available"] == found["BRL"]["total"] == "100000.00000000"
    assert found["ETH"] == dict.fromkeys(("available", "on_hold", "total"), "0.00000000") | {
        "symbol": "ETH"
    }
    assert set(found) >= {one.base for one in TAPE.listings.values()}


def test_fees_are_fractions_here_and_percent_there(client):
    _, fees = client.get(f"/accounts/{client.account}/BTC-BRL/fees")
    assert fees == {
        "base": "BTC", "quote": "BRL", "maker_fee": "0.00300000", "taker_fee": "0.00700000",
    }  # fmt: skip
    bought = client.order(client.placed(side="buy", type="market", qty="0.001"))
    assert {one["fee_rate"] for one in bought["executions"]} == {"0.70000000"}
    assert bought["fee"] == "0.00000700"


def test_the_tier_is_404_unless_the_switch_says_otherwise(client, opened):
    assert client.get(f"/accounts/{client.account}/tier")[0] == 404
    client = opened(tier_reply="documented")
    assert client.get(f"/accounts/{client.account}/tier") == (200, [{"tier": "1"}])


def test_an_order_rests_with_a_hold_and_is_cancelled_in_a_moment(client):
    price = client.price(0.8)
    name = client.placed(side="buy", type="limit", qty="0.01", limitPrice=price, externalId="x1")
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", name)
    order = client.order(name)
    number = order.pop("triggerOrderId")
    assert order == {
        "created_at": START // SECOND, "executions": [], "externalId": "x1", "fee": "0.00000000",
        "filledQty": "0.00000000", "id": name, "instrument": "BTC-BRL", "limitPrice": price,
        "qty": "0.01000000", "side": "buy", "status": "working", "type": "limit",
        "updated_at": START // SECOND,
    }  # fmt: skip
    assert client.order(number)["id"] == name
    assert Decimal(client.balances()["BRL"]["on_hold"]) == price * Decimal("0.01")
    assert client.get(f"/accounts/{client.account}/positions")[1] == [
        {"avgPrice": 0, "category": "limit", "id": name, "instrument": "BTC-BRL",
         "qty": "0.01000000", "side": "buy"}
    ]  # fmt: skip
    path = f"/accounts/{client.account}/BTC-BRL/orders/{name}"
    assert client.delete(path) == (200, {})
    assert client.order(name)["status"] == "working"
    client.clock.advance(SECOND)
    assert client.order(name)["status"] == "cancelled"
    assert client.delete(path, **{"async": "false"}) == (200, {})
    assert client.balances()["BRL"]["on_hold"] == "0.00000000"
    assert client.get(f"/accounts/{client.account}/positions") == (200, [])


def test_cancels_speak_as_documented_where_the_switch_says_so(opened):
    client = opened(cancel_reply="queued", cancel_all_reply="object")
    path = f"/accounts/{client.account}/BTC-BRL/orders/"
    order = {"side": "buy", "type": "limit", "qty": "0.01", "limitPrice": client.price(0.8)}
    assert client.delete(path + client.placed(**order)) == (200, {"status": "queued_to_cancel"})
    assert client.delete(path + client.placed(**order), **{"async": "false"})[1] == {
        "status": "cancelled"
    }
    name = client.placed(**order)
    client.clock.advance(SECOND)
    _, item = client.delete(f"/accounts/{client.account}/cancel_all_open_orders")
    assert item == {
        "crypto": "BTC", "fiat": "BRL", "order_id": name, "order_type": "limit",
        "side": "BID", "status": "queued_to_cancel",
    }  # fmt: skip
    client.clock.advance(SECOND)
    assert client.order(name)["status"] == "cancelled"


def test_cancel_all_picks_by_symbol_and_fills(client):
    order = {"side": "buy", "type": "limit", "qty": "0.01", "limitPrice": client.price(0.8)}
    names = [client.placed(**order) for _ in range(2)]
    path = f"/accounts/{client.account}/cancel_all_open_orders"
    assert client.delete(path, symbol="ETH-BRL") == (200, [])
    assert client.delete(path, has_executions="true") == (200, [])
    found = client.delete(path, symbol="BTC-BRL", has_executions="false")[1]
    assert [one["order_id"] for one in found] == names[::-1]


def test_a_wrong_type_is_422_before_anything_else(client):
    wrong = {"side": "x", "type": "y"}
    for change, said in (
        ({"qty": 1}, "The field {qty} must be {string}"),
        ({"limitPrice": "1"}, "The field {limitPrice} must be {number}"),
        ({"async": "true"}, "The field {async} must be {boolean}"),
    ):
        expected = {"code": "API|UNPROCESSABLE_ENTITY", "message": said}
        assert client.place("NO-PE", **wrong, **change) == (422, expected)


def test_route_token_account_types_and_pair_are_checked_in_that_order(client):
    body = {"side": 1}
    assert client.ask("POST", "/accounts/x/BRLBTC/orders", body, {})[0] == 404
    assert client.ask("POST", "/accounts/x/NO-PE/orders", body, {})[0] == 403
    status, said = client.ask("POST", "/accounts/x/NO-PE/orders", body)
    assert (status, said["error"]["code"]) == (403, 403)
    assert client.place("NO-PE", **body)[0] == 422
    assert client.place("NO-PE", side="hold")[1]["code"] == "TRADING|PLACE_ORDER|INVALID_PAIR"
    assert client.place("btc-brl")[1]["code"] == "TRADING|PLACE_ORDER|INVALID_PAIR"


@pytest.mark.parametrize("text", ["", "[]", "1e999", "{", '{"limitPrice": NaN}', "\xff"])
def test_a_body_that_is_no_json_object_is_422(client, text):
    path = f"/accounts/{client.account}/BTC-BRL/orders"
    assert client.ask("POST", path, text.encode("latin-1"))[0] == 422


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("qty", "abc", "INVALID_MIN_QUANTITY"),
        ("qty", "-1", "INVALID_MIN_QUANTITY"),
        ("qty", "1e-5", "INVALID_MIN_QUANTITY"),
        ("qty", "9" * 5000, "PARAMETER_SIZE_LARGE"),
        ("limitPrice", -5, "INVALID_MIN_LIMIT_PRICE"),
        ("limitPrice", 1e300, "PARAMETER_SIZE_LARGE"),
        ("limitPrice", 1e-300, "INVALID_MIN_LIMIT_PRICE"),
    ],
)
def test_odd_numbers_are_refused_and_break_nothing(client, field, value, code):
    order = {"side": "buy", "type": "limit", "qty": "0.001", "limitPrice": client.price(0.8)}
    status, body = client.place(**order | {field: value})
    assert (status, body["code"]) == (400, f"TRADING|PLACE_ORDER|{code}")


def test_orders_that_are_not_there_are_not_found(client):
    path = f"/accounts/{client.account}/BTC-BRL/orders/01KD94W5YJA8XG1WXN3V9D639V"
    for ask, module in ((client.get, "GET_ORDER"), (client.delete, "CANCEL_ORDER")):
        expected = {"code": f"TRADING|{module}|ORDER_NOT_FOUND", "message": "Order not found"}
        assert ask(path) == (400, expected)
    wrong = client.get(path.replace("BTC-BRL", "NO-PE"))[1]
    assert wrong["message"] == "{Base} or {Quote} is invalid"


def test_a_read_only_key_cannot_trade(client):
    client.login("other", "word")
    assert client.place(side="sell", type="market", qty="0.1")[1]["code"].endswith("INVALID_ACCESS")
    path = f"/accounts/{client.account}/cancel_all_open_orders"
    assert client.delete(path)[1]["code"].endswith("INVALID_ACCESS")
    assert client.balances()["BTC"]["total"] == "1.00000000"


def test_lists_are_newest_first_at_most_a_hundred_and_filtered(client):
    price = client.price(0.8)
    names = []
    for number in range(102):
        names.append(client.placed(side="buy", type="limit", qty="0.0001", limitPrice=price,
                                   externalId=f"x{number}"))  # fmt: skip
        client.clock.advance(SECOND)
    path = f"/accounts/{client.account}/BTC-BRL/orders"

    def ids(**query):
        return [one["id"] for one in client.get(path, **query)[1]]

    assert ids() == ids(status="open") == ids(side="buy") == names[:1:-1]
    assert ids(id_to=names[2]) == names[2::-1]
    assert ids(id_from=names[100], id_to=names[101]) == [names[101], names[100]]
    assert ids(created_at_to=START // SECOND + 1) == [names[1], names[0]]
    assert ids(created_at_from=START // SECOND + 101) == [names[101]]
    assert ids(side="sell") == ids(status="filled") == ids(has_executions="true") == []
    assert ids(executed_at_from=0) == []
    every = client.get(f"/accounts/{client.account}/orders", size=3, status="working,filled")[1]
    assert [one["id"] for one in every["items"]] == names[:-4:-1]
    first = every["items"][0]
    assert first["external_id"] == "x101"
    assert not {"executions", "fee", "avgPrice", "externalId"} & set(first)
    assert client.get(f"/accounts/{client.account}/orders", symbol="ETH-BRL")[1] == {"items": []}


@pytest.mark.parametrize(
    ("case", "seen"), [("upper", {"WORKING"}), ("mixed", {"WORKING", "working"})]
)
def test_the_letter_case_of_a_status_is_a_switch(opened, case, seen):
    client = opened(status_case=case)
    order = {"side": "buy", "type": "limit", "qty": "0.01", "limitPrice": client.price(0.8)}
    assert {client.order(client.placed(**order))["status"] for _ in range(2)} == seen


def test_a_market_buy_by_cost_and_an_asynchronous_order(client):
    order = client.order(client.placed(side="buy", type="market", cost=500))
    assert (order["status"], order["cost"]) == ("filled", 500)
    assert order["qty"] == order["filledQty"]
    assert float(order["qty"]) * order["avgPrice"] == pytest.approx(500, abs=0.01)
    name = client.placed(side="sell", type="market", qty="0.0001", **{"async": True})
    assert client.order(name)["status"] == "created"
    client.clock.advance(SECOND)
    assert client.order(name)["status"] == "filled"


def test_an_order_under_the_tape_is_filled_by_its_trades(client):
    name = client.placed(side="buy", type="limit", qty="0.05", limitPrice=client.price(0.9999))
    client.clock.advance(24 * HOUR)
    client.login()
    order = client.order(name)
    assert order["status"] == "filled"
    assert {one["liquidity"] for one in order["executions"]} <= {"maker", "taker"}
    assert sum(Decimal(one["qty"]) for one in order["executions"]) == Decimal("0.05")


def test_keys_and_tokens_show_in_no_repr(client):
    assert client.token not in repr(client.side)
    assert PASSWORD not in repr(client.side)
