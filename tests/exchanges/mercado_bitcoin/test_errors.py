import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import RateLimited, Refused, Transient, Unavailable
from cq.exchanges.mercado_bitcoin.errors import error_in, http_date_ns, retry_after_s
from cq.utils.time import SECOND, parse_time

PATH = "/candles"
SENT = "Sun, 27 Sep 2026 14:00:00 GMT"


def test_a_success_is_no_error():
    assert error_in(200, {}, "{}", PATH) is None


def test_every_recorded_error_is_refused_in_the_words_of_the_exchange(shared):
    path = shared / "mercado_bitcoin/fixtures/rest_v4/errors.json"
    said = [row for row in json.loads(path.read_text()) if row["status"] and row["body"]]
    assert len(said) > 15
    for row in said:
        error = error_in(row["status"], {}, json.dumps(row["body"]), PATH)
        assert type(error) is Refused
        inner = row["body"].get("error", row["body"])
        assert error.message == inner["message"]
        assert error.code in (inner["code"], inner.get("status"))
        assert "\n" not in str(error)


def test_the_gateway_of_the_newer_reference_says_its_reason(shared):
    path = shared / "mercado_bitcoin/fixtures/doc_examples/gateway_errors_v5.36.1.json"
    first, second = json.loads(path.read_text())
    error = error_in(first["status"], {}, json.dumps(first["body"]), PATH)
    assert str(error) == (
        "/candles: the exchange refused with 401 Unauthorized: "
        "Access credentials are invalid; Access token is not active"
    )
    assert error_in(second["status"], {}, json.dumps(second["body"]), PATH).code == "Forbidden"


def test_the_application_and_the_gateway_speak_json(recordings):
    application = error_in(400, {}, (recordings / "application_400.json").read_bytes(), PATH)
    assert application.code == "PUBLIC_DATA|LIST_CANDLES|TO_IS_INVALID"
    assert error_in(401, {}, (recordings / "gateway_401.json").read_bytes(), PATH).status == 401


def test_the_edge_speaks_html(recordings):
    refused = error_in(403, {}, (recordings / "edge_403.html").read_bytes(), PATH)
    assert type(refused) is Refused
    assert refused.code == "edge error 1010"
    assert refused.message.startswith("Access denied | api.mercadobitcoin.net")
    fault = error_in(502, {}, (recordings / "edge_502.html").read_bytes(), PATH)
    assert isinstance(fault, Unavailable)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 522, 524])
def test_a_fault_of_the_server_is_worth_another_try(status):
    error = error_in(status, {}, "", PATH)
    assert isinstance(error, Unavailable)
    assert isinstance(error, Transient)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_tried_again(status):
    assert not isinstance(error_in(status, {}, "", PATH), Transient)


def test_the_codes_without_a_status_are_known_for_what_they_are():
    throttled = json.dumps({"code": "API|REQUEST_RATE_EXCEEDED", "message": "slow down"})
    assert isinstance(error_in(403, {}, throttled, PATH), RateLimited)
    down = json.dumps({"code": "API|API_UNAVAILABLE", "message": "later"})
    assert isinstance(error_in(400, {}, down, PATH), Unavailable)


def test_a_redirect_points_at_the_setting():
    error = error_in(301, {"Location": "https://elsewhere/api"}, "", PATH)
    assert "https://elsewhere/api" in str(error)
    assert "ingestion.rest_base_url" in str(error)


@pytest.mark.parametrize(("asked", "pause"), [("7", 7.0), ("0", 0.0), (" 1.5 ", 1.5)])
def test_retry_after_may_be_seconds(asked, pause):
    error = error_in(429, {"Retry-After": asked}, "", PATH)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == pause


def test_retry_after_may_be_a_date_counted_from_the_reply_itself():
    headers = {"retry-after": "Sun, 27 Sep 2026 14:02:30 GMT", "DATE": SENT}
    assert retry_after_s(headers) == 150.0
    past = {"Retry-After": "Sun, 27 Sep 2026 13:00:00 GMT", "Date": SENT}
    assert retry_after_s(past) == 0.0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": ""},
        {"Retry-After": "soon"},
        {"Retry-After": "-3"},
        {"Retry-After": "1e9"},
        {"Retry-After": SENT},
        {"Retry-After": "Sun, 99 Sep 2026 14:02:30 GMT", "Date": SENT},
    ],
)
def test_a_pause_that_cannot_be_read_is_none(headers):
    assert retry_after_s(headers) is None


def test_a_server_fault_may_ask_for_a_pause_too():
    assert error_in(503, {"Retry-After": "3"}, "", PATH).retry_after_s == 3.0


def test_an_http_date_is_utc():
    assert http_date_ns(SENT) == parse_time("2026-09-27T14:00")
    assert http_date_ns("Sun, 27 Sep 2026 11:00:00 -0300") == parse_time("2026-09-27T14:00")
    assert http_date_ns("Thu, 01 Jan 1970 00:00:07 GMT") == 7 * SECOND
    assert http_date_ns("yesterday") is None


@given(st.integers(300, 599), st.binary(max_size=300))
def test_whatever_the_body_an_error_is_one_short_line(status, body):
    text = str(error_in(status, {}, body, PATH))
    assert text.isprintable()
    assert len(text) < 600


@given(st.text(max_size=500))
def test_a_message_of_the_exchange_cannot_write_to_the_terminal(message):
    body = json.dumps({"code": "A|B|C", "message": "\x1b[31m" + message})
    assert str(error_in(400, {}, body, PATH)).isprintable()
