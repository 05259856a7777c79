import json

import httpx
import pytest
from exchange import Fault, bars

from cq.errors import (
    ConfigError,
    NoSuchMarket,
    RateLimited,
    Refused,
    Transient,
    Unavailable,
    Unreachable,
)
from cq.exchanges.limits import Limits
from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.retrying import LONGEST_PAUSE_S, backoff_s
from cq.utils import log
from cq.utils.config import defaults
from cq.utils.settings import Retry
from cq.utils.time import HOUR, SECOND, parse_time

START = parse_time("2026-09-27")
NOW = START + 10 * HOUR
RETRY = {
    "max_tries": 6,
    "backoff_base_ms": 500,
    "backoff_cap_ms": 30_000,
    "backoff_jitter_ms": 250,
}


@pytest.fixture
def btc(exchange):
    exchange.clock = lambda: NOW
    exchange.markets["BTC-BRL", "1h"] = bars(START, HOUR, range(11))
    return exchange


@pytest.fixture
def slept():
    return []


@pytest.fixture
def market(btc, slept):
    with MercadoBitcoin(
        Rest(btc.ingestion(retry=RETRY), clock=lambda: NOW, sleep=slept.append)
    ) as one:
        yield one


@pytest.fixture
def log_lines(tmp_path):
    path = tmp_path / "cq.jsonl"
    log.configure(defaults(tmp_path).model_copy(update={"log_file": path}))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def ask(market):
    return market.candles("BTC-BRL", "1h", START, START + 11 * HOUR)


def test_bars_come_in_the_words_of_the_lake_the_one_in_progress_included(market):
    rows = ask(market)
    assert rows.columns == [
        *("ts", "open", "high", "low", "close", "volume", "symbol", "exchange", "interval")
    ]
    assert rows["ts"].to_list() == [START + hour * HOUR for hour in range(11)]
    assert rows.select("symbol", "exchange", "interval").unique().rows() == [
        ("BTC-BRL", "mercadobitcoin", "1h")
    ]


def test_an_ordinary_client_asks_and_one_connection_serves_all(btc, market):
    for _ in range(3):
        ask(market)
    assert market.rest.requests == 3
    assert len(btc.peers) == 1
    assert btc.headers["User-Agent"].startswith("Mozilla/5.0")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 524])
def test_a_passing_fault_is_tried_again(btc, market, slept, status):
    btc.faults.extend([Fault(status)] * 2)
    assert ask(market).height == 11
    assert len(slept) == 2


def test_without_a_word_from_the_exchange_the_pause_doubles_with_jitter(btc, market, slept):
    btc.faults.extend([Fault(503)] * 5)
    ask(market)
    for number, pause in enumerate(slept):
        assert 0.5 * 2**number <= pause <= 0.5 * 2**number + 0.25


def test_the_pause_is_capped_and_jittered():
    pauses = {backoff_s(40, Retry.model_validate(RETRY)) for _ in range(20)}
    assert 30 <= min(pauses) <= max(pauses) <= 30.25
    assert len(pauses) > 1


def test_the_pause_that_the_exchange_asks_for_is_kept_in_seconds_or_as_a_date(btc, market, slept):
    btc.faults.append(Fault(429, headers={"Retry-After": "7"}))
    btc.faults.append(Fault(429, headers={"Retry-After": "Sun, 27 Sep 2026 10:01:30 GMT"}))
    ask(market)
    assert slept == [7.0, 90.0]


def test_a_pause_of_hours_is_reported_not_waited_for(btc, market, slept):
    btc.faults.append(Fault(429, headers={"Retry-After": str(LONGEST_PAUSE_S + 1)}))
    with pytest.raises(RateLimited, match="301 s"):
        ask(market)
    assert slept == []


def test_after_max_tries_the_last_error_is_the_answer(btc, market, slept):
    btc.faults.extend([Fault(429)] * 5 + [Fault(502)])
    with pytest.raises(Unavailable, match="502"):
        ask(market)
    assert len(btc.asked) == 6
    assert len(slept) == 5


@pytest.mark.parametrize(
    ("status", "recording", "said"),
    [
        (400, "application_400.json", "must not be a valid Unix timestamp"),
        (401, "gateway_401.json", "Access token is not active"),
        (403, "edge_403.html", "edge error 1010"),
    ],
)
def test_a_refusal_in_any_voice_is_one_line_and_final(
    btc, market, slept, recordings, status, recording, said
):
    btc.faults.append(Fault(status, (recordings / recording).read_text()))
    with pytest.raises(Refused, match=said) as refused:
        ask(market)
    assert str(refused.value).isprintable()
    assert slept == []
    assert len(btc.asked) == 1


def test_an_unknown_symbol_is_named(market):
    with pytest.raises(NoSuchMarket, match="NOPE-BRL: the exchange has no such market"):
        market.candles("NOPE-BRL", "1h", START, NOW)


@pytest.mark.parametrize("kind", ["drop", "half"])
def test_a_broken_connection_is_tried_again(btc, market, slept, kind):
    btc.faults.append(Fault(kind=kind))
    assert ask(market).height == 11
    assert len(slept) == 1


@pytest.mark.parametrize("body", ["<html>a portal</html>", "", '{"t":[17', "[]", '{"t":[1]}'])
def test_garbage_is_tried_again_and_then_said(btc, market, slept, body):
    btc.faults.append(Fault(200, body))
    assert ask(market).height == 11
    btc.faults.extend([Fault(200, body)] * 6)
    with pytest.raises(Unreadable, match="cannot be read"):
        ask(market)


def test_an_exchange_that_ignores_the_range_is_not_believed(btc, market):
    body = json.dumps({"t": [NOW // SECOND * 2]} | {name: ["1"] for name in "ohlcv"})
    btc.faults.append(Fault(200, body))
    with pytest.raises(Unreadable, match="open after the range"):
        ask(market)


def test_only_bars_of_the_range_come_back(btc, market):
    btc.ignores_from = True
    rows = market.candles("BTC-BRL", "1h", START + 3 * HOUR, START + 5 * HOUR)
    assert rows["ts"].to_list() == [START + 3 * HOUR, START + 4 * HOUR]


@pytest.mark.parametrize("kind", ["silent", "drip"])
def test_an_answer_that_does_not_come_or_drips_is_out_of_reach(btc, kind):
    once = RETRY | {"max_tries": 1}
    with MercadoBitcoin(Rest(btc.ingestion(timeout_seconds=0.2, retry=once))) as market:
        btc.faults.append(Fault(kind=kind))
        with pytest.raises(Unreachable, match=r"no answer within 0.2 s"):
            ask(market)


def test_nobody_listening_is_out_of_reach_and_names_the_setting(btc, slept):
    url = "http://127.0.0.1:1/api/v4"
    settings = btc.ingestion(retry=RETRY, rest_base_url=url)
    with (
        MercadoBitcoin(Rest(settings, sleep=slept.append)) as market,
        pytest.raises(Unreachable, match=r"127.0.0.1:1.*ingestion.rest_base_url"),
    ):
        ask(market)
    assert len(slept) == 5


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://a:b:c/", "https://exa mple", "http://a:99999/"]
)
def test_an_address_that_is_none_is_a_setting_to_mend(btc, url):
    settings = btc.ingestion().model_copy(update={"rest_base_url": url})
    with pytest.raises((ConfigError, Unreachable), match="rest_base_url"):
        ask(MercadoBitcoin(Rest(settings)))


def test_the_clock_of_the_exchange_is_known_from_its_first_reply(btc, slept):
    ours = NOW + 90 * SECOND
    with MercadoBitcoin(Rest(btc.ingestion(), clock=lambda: ours)) as market:
        assert market.time_ns(ours) == ours
        ask(market)
        assert market.time_ns(ours) == NOW


def test_an_error_tells_the_time_too(btc, market):
    btc.clock = lambda: NOW - 5 * SECOND
    btc.faults.append(Fault(404))
    with pytest.raises(Refused):
        ask(market)
    assert market.time_ns(NOW) == NOW - 5 * SECOND


def test_every_request_waits_for_its_turn_the_repeated_ones_too(btc, slept):
    waited = []
    limits = Limits(500, 1, clock=lambda: 0, sleep=waited.append)
    rest = Rest(btc.ingestion(retry=RETRY), limits=limits, sleep=slept.append)
    with MercadoBitcoin(rest) as market:
        btc.faults.append(Fault(500))
        ask(market)
        ask(market)
    assert [round(one, 2) for one in waited] == [1.05, 2.1]


def test_clients_of_one_exchange_share_its_limits(btc):
    with Rest(btc.ingestion()) as one, Rest(btc.ingestion()) as other:
        assert one._limits is other._limits


def test_retries_are_logged_with_their_reason(btc, market, log_lines):
    btc.faults.append(Fault(503))
    ask(market)
    (line,) = [one for one in log_lines() if one["level"] == "WARNING"]
    assert (line["component"], line["action"]) == ("rest", "GET /candles")
    assert (line["symbol"], line["status"]) == ("BTC-BRL", "retry")
    assert "503" in line["reason"]
    assert line["latency_ms"] > 0


def test_a_request_and_its_retries_share_an_id_that_no_other_request_has(
    btc, market, tmp_path, monkeypatch
):
    path = tmp_path / "cq.jsonl"
    settings = defaults(tmp_path).model_copy(update={"log_file": path, "log_level": "DEBUG"})
    log.configure(settings)
    btc.faults.extend([Fault(503), Fault(503)])
    ask(market)
    ask(market)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    first, second = dict.fromkeys(line["request_id"] for line in lines)
    of_first = [line["status"] for line in lines if line["request_id"] == first]
    assert of_first == [503, "retry", 503, "retry", 200]
    assert [line["status"] for line in lines if line["request_id"] == second] == [200]
    assert all(line["latency_ms"] > 0 for line in lines)


def test_the_error_of_a_request_carries_its_id(btc, market, log_lines):
    btc.faults.extend([Fault(503)] * 6)
    with pytest.raises(Unavailable) as failed:
        ask(market)
    assert {line["request_id"] for line in log_lines()} == {failed.value.request_id}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(kind="drop"), "no answer"),
        (Fault(503), "status 503"),
        (Fault(429), "too many requests"),
        (Fault(200, "<html>"), "an answer that cannot be read"),
    ],
)
def test_people_read_why_when_and_how_often_it_is_tried_again(
    btc, slept, tmp_path, monkeypatch, capsys, fault, said
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    log.configure(defaults(tmp_path))
    retry = RETRY | {"backoff_jitter_ms": 0}
    btc.faults.extend([fault] * 3)
    with MercadoBitcoin(Rest(btc.ingestion(retry=retry), sleep=slept.append)) as market:
        ask(market)
    assert capsys.readouterr().err.splitlines() == [
        f"{said}, trying again in 0.5 s (2 of 6)",
        f"{said}, trying again in 1 s (3 of 6)",
        f"{said}, trying again in 2 s (4 of 6)",
    ]


def test_transient_errors_are_exactly_those_that_may_pass():
    assert issubclass(Unreadable, Transient)
    assert not issubclass(NoSuchMarket, Transient)
    assert issubclass(httpx.ConnectError, httpx.TransportError)
