"""Answers of the local exchange against the OpenAPI file and the recorded replies.

The requests are made by `requests`, partly through Schemathesis, which invents them from the file.
Wherever the wire is known to differ from the file, the difference stands in DEVIATIONS.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from cq.sim.clock import SimClock
from cq.sim.holders import LOGIN, PASSWORD, Holder
from cq.sim.private import private_side
from cq.sim.server import running
from cq.sim.simulation import Simulation
from cq.sim.switches import Switches
from cq.sim.tape import Tape
from cq.utils.time import SECOND, parse_time

START = parse_time("2026-01-05")
TAPE = Tape.generated(seed=5)

DEVIATIONS = {
    ("prspublicdata.ListSymbolInfoResponse", "round-lot"): "on the wire only (API.md 5.1)",
    ("OrderResponse", "stopPrice"): "left out where an order has none (API.md 2, 8.2)",
    ("OrderResponse", "cost"): "left out where an order has none",
    ("OrderResponse", "externalId"): "left out where an order has none",
    ("OrderResponse", "avgPrice"): "left out without fills",
    ("OrderResponse", "limitPrice"): "left out for market orders",
    ("Orders", "stopPrice"): "left out where an order has none",
    ("Orders", "external_id"): "left out where an order has none",
    ("Orders", "limitPrice"): "left out for market orders",
}
"""(definition, field) → why an answer may have what the file has not, or lack what it has.

Beyond fields: only status 200 is in the file, while API.md 4 has the errors. Bids are descending,
against the file's text (5.3). `/oauth2/token` is newer than the file (6). By default `tier` is 404
(7) and a cancel is answered with {} (8.4); the switches bring both to what is documented.
"""

ASKED = {
    "/symbols": {},
    "/tickers": {"symbols": "BTC-BRL,ETH-BRL"},
    "/{symbol}/orderbook": {"limit": "5"},
    "/{symbol}/trades": {},
    "/candles": {"symbol": "BTC-BRL", "resolution": "1h", "to": str(START // SECOND)},
    "/{asset}/fees": {},
    "/{asset}/networks": {},
    "/accounts": {},
    "/accounts/{accountId}/balances": {},
    "/accounts/{accountId}/positions": {},
    "/accounts/{accountId}/tier": {},
    "/accounts/{accountId}/{symbol}/fees": {},
    "/accounts/{accountId}/{symbol}/orders": {},
    "/accounts/{accountId}/{symbol}/orders/{orderId}": {},
    "/accounts/{accountId}/orders": {},
}
"""Path in the file → query that brings rows."""
NOT_SERVED = "/wallet/"
"""Deposits and withdrawals: a trading toolkit has no use for them."""


class Wire:
    """A running exchange and a signed-in `requests` session."""

    def __init__(self, rest: str, session: requests.Session) -> None:
        self.rest, self.session = rest, session
        form = {"grant_type": "client_credentials", "client_id": LOGIN, "client_secret": PASSWORD}
        token = session.post(f"{rest}/oauth2/token", data=form, timeout=10).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        self.account = self.ask("GET", "/accounts")[0]["id"]
        self.named = {"accountId": self.account, "symbol": "BTC-BRL", "asset": "BTC"}
        self.orders = f"/accounts/{self.account}/BTC-BRL/orders"
        self.last = int(float(self.ask("GET", "/tickers?symbols=BTC-BRL")[0]["last"]))

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        path = re.sub(r"\{(\w+)\}", lambda name: self.named[name[1]], path)
        reply = self.session.request(method, self.rest + path, params=query, json=body, timeout=10)
        assert reply.status_code == 200, reply.text
        assert reply.headers["Content-Type"].startswith("application/json")
        return reply.json()


@contextmanager
def opened(**switches: Any) -> Iterator[tuple[Wire, SimClock]]:
    clock = SimClock(START, speed=0)
    side = private_side(TAPE, START, (Holder(),), Switches(**switches))
    sim = Simulation(TAPE, clock, Switches(**switches), exchange=side, limited=False)
    with running(sim) as address, requests.Session() as session:
        yield Wire(address.rest, session), clock


@pytest.fixture(scope="module")
def document(shared) -> dict[str, Any]:
    text = (shared / "mercado_bitcoin/fixtures/openapi/openapi_v5.33.4.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.fixture(scope="module")
def recorded(shared):
    folder = shared / "mercado_bitcoin" / "fixtures" / "rest_v4"
    return lambda name: json.loads((folder / f"{name}.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """An exchange that has seen every kind of order."""
    with opened(tier_reply="documented", cancel_reply="queued") as (wire, clock):
        limit = {"side": "sell", "type": "limit", "qty": "0.00001", "limitPrice": wire.last * 2}
        wire.ask("POST", wire.orders, {"side": "buy", "type": "market", "cost": 1000})
        wire.ask("POST", wire.orders, {"side": "buy", "type": "market", "qty": "0.01"})
        wire.ask("POST", wire.orders, limit | {"externalId": "mine"})
        wire.ask("POST", wire.orders, limit | {"type": "post-only"})
        stop = {"type": "stoplimit", "stopPrice": wire.last // 2, "limitPrice": wire.last // 2}
        wire.ask("POST", wire.orders, limit | stop | {"limitPrice": wire.last // 2 - 1})
        clock.advance(SECOND)
        wire.named["orderId"] = wire.ask("GET", wire.orders)[0]["id"]
        yield wire


@pytest.fixture(scope="module")
def strict(document) -> dict[str, Any]:
    """The file's definitions with every field required and no other allowed, less DEVIATIONS."""
    found = {}
    for name, definition in document["definitions"].items():
        fields = definition.get("properties", {})
        known = {field for owner, field in DEVIATIONS if owner == name}
        found[name] = definition | {
            "properties": fields | {field: {} for field in known - set(fields)},
            "required": sorted(set(fields) - known),
            "additionalProperties": False,
        }
    return found


def conforms(answer: Any, document: dict[str, Any], strict: dict[str, Any], method, path) -> None:
    schema = document["paths"][path][method]["responses"]["200"]["schema"]
    jsonschema.Draft4Validator(schema | {"definitions": strict}).validate(answer)


@pytest.mark.parametrize("path", ASKED)
def test_answers_are_as_the_file_says(wire, document, strict, path):
    answer = wire.ask("GET", path, **ASKED[path])
    assert answer
    conforms(answer, document, strict, "get", path)


def test_every_endpoint_of_the_file_is_asked(document):
    gets = {path for path, methods in document["paths"].items() if "get" in methods}
    assert {path for path in gets if NOT_SERVED not in path} == set(ASKED)


def test_changes_are_answered_as_the_file_says(wire, document, strict):
    for path, method in (
        ("/accounts/{accountId}/{symbol}/orders", "post"),
        ("/accounts/{accountId}/{symbol}/orders/{orderId}", "delete"),
        ("/accounts/{accountId}/cancel_all_open_orders", "delete"),
    ):
        order = {"side": "sell", "type": "limit", "qty": "0.00001", "limitPrice": wire.last * 2}
        wire.named["orderId"] = wire.ask("POST", wire.orders, order)["orderId"]
        body = order if method == "post" else None
        conforms(wire.ask(method.upper(), path, body), document, strict, method, path)
    pair = {"login": LOGIN, "password": PASSWORD}
    conforms(wire.ask("POST", "/authorize", pair), document, strict, "post", "/authorize")


def test_every_kind_of_order_was_looked_at(wire):
    orders = wire.ask("GET", wire.orders)
    assert {one["type"] for one in orders} == {"market", "limit", "post-only", "stoplimit"}
    assert {one["status"] for one in orders} >= {"filled", "working"}
    for one in orders:
        assert wire.ask("GET", f"{wire.orders}/{one['id']}") == one


RECORDED = {
    "symbols_BTC-BRL_202301": "/symbols",
    "tickers_BTC-BRL_20260927": "/tickers",
    "tickers_BTC-BRL_20251224_par": "/tickers",
    "trades_BTC-BRL_noparams_first3_20251224_par": "/{symbol}/trades",
    "candles_BTC-BRL_1h_2bars_20260927": "/candles",
    "asset_fees_BTC_20251119": "/{asset}/fees",
    "private/accounts_20251224_par": "/accounts",
    "private/balances_head_20251224_par": "/accounts/{accountId}/balances",
    "private/positions_head_20251224_par": "/accounts/{accountId}/positions",
    "private/orders_list_first_20251224_par": "/accounts/{accountId}/{symbol}/orders",
}


@pytest.mark.parametrize("name", RECORDED)
def test_answers_have_the_shape_of_the_recorded_ones(wire, recorded, name):
    path = RECORDED[name]
    answer = wire.ask("GET", path, **ASKED[path])
    if path.endswith("/orders"):
        answer = [one for one in answer if one["type"] == "limit"]
    assert_like(answer, recorded(name))


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_open_order_looks_as_it_was_recorded(recorded, side):
    with opened() as (wire, _):
        told = recorded(f"private/order_place_{side}_20251224_par")
        price = wire.last // 2 if side == "buy" else wire.last * 2
        if side == "sell":
            wire.ask("POST", wire.orders, {"side": "buy", "type": "market", "qty": "0.001"})
        placed = wire.ask("POST", wire.orders, told["request"] | {"limitPrice": price})
        assert_like(placed, told["response"])
        path = f"{wire.orders}/{placed['orderId']}"
        assert_like(
            wire.ask("GET", path), recorded(f"private/order_get_{side}_working_20251224_par")
        )
        assert wire.ask("DELETE", path) == recorded("private/order_cancel_20251224_par")


def assert_like(found: Any, wanted: Any) -> None:
    """Every field of the recording is there, of the same JSON type and the same number form."""
    if isinstance(wanted, dict):
        assert set(wanted) <= set(found)
        for name, value in wanted.items():
            assert_like(found[name], value)
    elif isinstance(wanted, list):
        assert isinstance(found, list)
        assert len(found) > 0 or not wanted
        for one in found if wanted else []:
            assert_like(one, wanted[0])
    elif isinstance(wanted, str) and re.fullmatch(r"\d+\.\d{8}", wanted):
        assert re.fullmatch(r"\d+\.\d{8}", found)
    elif isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        assert isinstance(found, (int, float))
    else:
        assert type(found) is type(wanted)


def test_errors_are_the_recorded_ones(wire, recorded):
    """Every recorded error whose request can be made on purpose."""
    made = 0
    replies = {(one["status"], json.dumps(one["body"])): one for one in recorded("errors")}
    order = {"side": "sell", "type": "limit", "qty": "0.00001", "limitPrice": wire.last * 2}
    requests_made = [
        ("POST", wire.orders, order | {"side": "hold"}),
        ("POST", wire.orders, order | {"type": "foo"}),
        ("POST", wire.orders, order | {"qty": "0"}),
        ("POST", wire.orders, order | {"qty": "8"}),
        ("POST", wire.orders, {"side": "buy", "type": "market", "qty": "0.00000001"}),
        ("GET", f"{wire.orders}/unknown", None),
        ("DELETE", f"{wire.orders}/unknown", None),
        ("GET", "/nope", None),
        ("GET", "/BRLBTC/orderbook", None),
        ("GET", "/btc-brl/orderbook", None),
        ("GET", "/tickers", None),
        ("POST", "/authorize", {"password": "x"}),
        ("POST", "/authorize", {"login": "x", "password": "x"}),
    ]
    for method, path, body in requests_made:
        reply = wire.session.request(method, wire.rest + path, json=body, timeout=10)
        assert (reply.status_code, json.dumps(reply.json())) in replies, reply.text
        made += 1
    assert made == len(requests_made)
    band = wire.session.post(wire.rest + wire.orders, json=order | {"limitPrice": 1}, timeout=10)
    assert re.fullmatch(
        r"The param \{limitPrice\} is lower than \{[\d.]+\}", band.json()["message"]
    )


def test_strange_requests_never_break_the_exchange(document, wire):
    """Schemathesis makes requests out of the file: right ones, and ones that break its rules."""
    schema = schemathesis.openapi.from_dict(document)
    found = [one.ok() for one in schema.get_all_operations()]
    operations = [one for one in found if NOT_SERVED not in one.path]
    statuses: Counter[int] = Counter()
    for operation in operations:
        before = statuses.total()
        try_out(operation, GenerationMode.POSITIVE, wire, statuses)
        assert statuses.total() > before, operation.path
        with suppress(Unsatisfiable):  # where there is no rule to break
            try_out(operation, GenerationMode.NEGATIVE, wire, statuses)
    assert {200, 400, 422} <= set(statuses) <= {200, 400, 401, 403, 404, 422}


def try_out(operation: Any, kind: GenerationMode, wire: Wire, statuses: Counter[int]) -> None:
    @settings(
        max_examples=8,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=kind))
    def once(case: Any) -> None:
        asked = case.path_parameters or {}
        right = wire.named if kind is GenerationMode.POSITIVE else {"accountId": wire.account}
        case.path_parameters = {name: right.get(name, value) for name, value in asked.items()}
        headers = {"Authorization": wire.session.headers["Authorization"]}
        reply = case.call(base_url=wire.rest, headers=headers, session=wire.session)
        statuses[reply.status_code] += 1
        case.validate_response(reply, checks=[not_a_server_error, content_type_conformance])
        if reply.status_code == 200:
            case.validate_response(reply, checks=[response_schema_conformance])
        else:
            assert set(reply.json()) in ({"code", "message"}, {"error"})

    once()
