"""What both shells do with a question, asked over real sockets."""

import json
from decimal import Decimal

import pytest
from exchange import Fault

from cq.errors import (
    ConfigError,
    ExchangeError,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    Unreachable,
)
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.question import Question

RETRY = {"backoff_base_ms": 0, "backoff_cap_ms": 0, "backoff_jitter_ms": 0}
PATH = "/accounts/1/BTC-BRL/orders"


def place(**changes):
    said = {"method": "POST", "body": {"qty": "0.001"}, "private": True, "safe": False}
    return Question("place_order", PATH, json.loads, **(said | changes))


@pytest.fixture
def orders(locked):
    locked.answers[PATH] = {"orderId": "01KD94W5YJA8XG1WXN3V9D639V"}
    return locked


def sent(exchange):
    return [one for one in exchange.asked if one.path == PATH]


def test_a_body_is_json_whose_decimals_are_numbers_to_the_digit(either, orders):
    body = {"limitPrice": Decimal("228768.243775000000001"), "qty": "0.00001", "async": True}
    either.ask(place(body=body | {"deep": [Decimal("1E-8"), None, "é"]}))
    (asked,) = sent(orders)
    assert asked.method == "POST"
    assert asked.headers["Content-Type"] == "application/json"
    assert '"limitPrice":228768.243775000000001,' in asked.body
    assert json.loads(asked.body)["deep"] == [1e-8, None, "é"]


def test_delete_carries_its_parameters_and_no_body(either, orders):
    either.ask(place(method="DELETE", body=None, params={"async": "false"}))
    (asked,) = sent(orders)
    assert (asked.method, asked.query, asked.body) == ("DELETE", {"async": "false"}, "")
    assert "Content-Type" not in asked.headers


def test_headers_of_a_question_travel_along(either, orders):
    either.ask(place(headers={"X-Trace": "7"}))
    (asked,) = sent(orders)
    assert asked.headers["X-Trace"] == "7"
    assert asked.headers["Authorization"].startswith("Bearer ")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="drop"),
        Fault(500),
        Fault(502, "<html>"),
        Fault(504),
        Fault(200, "{"),
        Fault(400, '{"code":"API|INTERNAL_SERVER_ERROR","message":"x"}'),
    ],
)
def test_an_unsafe_call_is_sent_once_and_a_doubt_is_said(either, orders, fault):
    orders.faults[PATH].append(fault)

    def read(body):
        try:
            return json.loads(body)
        except ValueError:
            raise Unreadable(PATH, "it is not JSON") from None

    with pytest.raises(OutcomeUnknown, match=f"POST {PATH}: unknown whether it arrived") as doubt:
        either.ask(Question("place_order", PATH, read, method="POST", private=True, safe=False))
    assert doubt.value.exit_code == 4
    assert doubt.value.request_id
    assert len(sent(orders)) == 1


def test_a_time_out_of_an_unsafe_call_is_a_doubt(either, orders):
    either.settings = {"timeout_seconds": 0.3}
    orders.faults[PATH].append(Fault(kind="silent"))
    with pytest.raises(OutcomeUnknown, match=r"no answer within 0.3 s"):
        either.ask(place())
    assert len(sent(orders)) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(429, headers={"Retry-After": "3"}), RateLimited),
        (Fault(400, '{"code":"TRADING|PLACE_ORDER|INVALID_SIDE","message":"x"}'), Refused),
    ],
)
def test_a_plain_no_to_an_unsafe_call_is_no_doubt(either, orders, fault, error):
    orders.faults[PATH].append(fault)
    with pytest.raises(error):
        either.ask(place())
    assert len(sent(orders)) == 1


def test_an_unsafe_call_that_never_left_is_no_doubt(either, orders):
    path = "http://127.0.0.1:1/orders"
    with pytest.raises(Unreachable):
        either.ask(Question("place_order", path, json.loads, method="POST", safe=False))


def test_a_login_that_fails_leaves_no_doubt_about_an_unsafe_call(either, orders):
    orders.faults["/oauth2/token"].extend([Fault(503)] * 3)
    with pytest.raises(Unavailable):
        either.ask(place())
    assert sent(orders) == []


def test_an_unsafe_call_whose_token_was_not_taken_is_sent_again(either, orders):
    orders.faults[PATH].append(Fault(403, '{"code":"API|FORBIDDEN","message":"x"}'))
    assert either.ask(place()) == [orders.answers[PATH]]
    assert len(sent(orders)) == 2


def test_a_safe_call_is_tried_again_in_both_shells(either, orders):
    orders.faults[PATH].extend([Fault(kind="drop"), Fault(429, headers={"Retry-After": "2"})])
    either.ask(place(method="GET", body=None, safe=True))
    assert either.slept == [0.0, 2.0]
    assert either.rest.requests == 4


def test_an_answer_that_does_not_come_is_out_of_reach(either, orders):
    either.settings = {"timeout_seconds": 0.3, "retry": RETRY | {"max_tries": 2}}
    orders.faults[PATH].extend([Fault(kind="silent")] * 2)
    with pytest.raises(Unreachable, match=r"no answer within 0.3 s"):
        either.ask(place(method="GET", body=None, safe=True))
    assert len(sent(orders)) == 2


@pytest.mark.parametrize("url", ["http://[::1", "http://a:b:c/", "http://10.1.1.1:99999/"])
def test_an_address_of_the_login_that_is_none_is_a_setting_to_mend(either, orders, url):
    either.settings = {"login": "oauth2", "login_url": url}
    with pytest.raises(ConfigError, match="ingestion"):
        either.ask(place())


@pytest.mark.parametrize("kind", ["drop", "silent"])
@pytest.mark.parametrize("path", [PATH, "/oauth2/token"])
def test_no_error_of_the_wire_keeps_the_request(either, orders, kind, path):
    either.settings = {"timeout_seconds": 0.2, "retry": RETRY | {"max_tries": 1}}
    orders.faults[path].append(Fault(kind=kind))
    with pytest.raises(ExchangeError) as failed:
        either.ask(place())
    assert failed.value.__context__ is None
    assert failed.value.__cause__ is None
