"""Limits and faults on requests, over a socket."""

import http.client
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from simulator import START, simulation

from cq.errors import ConfigError
from cq.sim.faults import Faults
from cq.sim.limits import Limits, Window
from cq.sim.plan import Plan, read_plan
from cq.sim.server import running
from cq.sim.switches import Switches

PATH = "/BTC-BRL/trades?limit=1"


@contextmanager
def client(*faults, **more):
    """A client of an exchange with these faults."""
    sim = simulation(faults=list(faults), **more)
    with running(sim) as address, httpx.Client(base_url=address.rest, timeout=5) as one:
        one.sim = sim  # type: ignore[attr-defined]
        yield one


def statuses(one, count, path=PATH):
    return [one.get(path).status_code for _ in range(count)]


# limits


def test_a_window_lets_in_as_many_as_it_says_and_an_early_one_on_account():
    window = Window(2, 1.0, 0.1)
    for now in (0.0, 0.1):
        assert window.wait_s(now) == 0
        window.take(now)
    assert window.wait_s(0.5) == 0.5
    assert window.wait_s(0.95) == 0
    window.take(0.95)
    window.take(1.05)
    assert window.wait_s(1.88) == pytest.approx(0.12)


def test_every_endpoint_has_its_own_limit_and_all_share_one():
    now = [0.0]
    limits = Limits(Switches(limit_slack_ms=0), lambda: now[0])
    assert limits.wait_s("trades") == 0
    assert limits.wait_s("trades") > 0
    assert limits.wait_s("candles") == 0
    assert limits.wait_s("accounts") == 0
    now[0] = 1.0
    assert limits.wait_s("trades") == 0
    shared = Limits(Switches(), lambda: 0.0)
    assert sum(not shared.wait_s("accounts") for _ in range(600)) == 500


def test_limits_can_go_by_symbol_or_be_halved():
    by_symbol = Limits(Switches(limit_scope="symbol"), lambda: 0.0)
    assert by_symbol.wait_s("trades", "BTC-BRL") == by_symbol.wait_s("trades", "ETH-BRL") == 0
    halved = Limits(Switches(limit_factor=0.5, limit_slack_ms=0), lambda: 0.0)
    halved.wait_s("trades")
    assert halved.wait_s("trades") == 2.0


def test_too_many_requests_are_429_with_the_header_of_the_switch():
    with client(limited=True, limit_retry_after="seconds") as one:
        assert one.get(PATH).status_code == 200
        reply = one.get(PATH)
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "1")
        assert one.sim.status.limited["trades"] == 1


# faults


def test_faults_strike_as_often_as_they_say():
    with client({"kind": "server_error", "status": 502, "each": 3}) as one:
        assert statuses(one, 6) == [200, 200, 502, 200, 200, 502]
    with client({"kind": "too_many", "limit": 2, "retry_after": "date"}) as one:
        assert statuses(one, 4) == [429, 429, 200, 200]
    with client({"kind": "html_403", "endpoints": "candles"}) as one:
        assert statuses(one, 2) == [200, 200]
        assert one.get("/candles").status_code == 403


def test_chance_is_the_same_for_the_same_seed():
    rule = {"kind": "server_error", "chance": 0.4}

    def drawn(seed):
        with client(rule, seed=seed) as one:
            return statuses(one, 40)

    assert drawn(1) == drawn(1) != drawn(2)


def test_an_error_of_the_application_is_json_and_of_the_network_html():
    with client({"kind": "server_error", "status": 500, "limit": 1}, {"kind": "html_403"}) as one:
        assert one.get(PATH).json()["code"] == "API|INTERNAL_SERVER_ERROR"
        assert one.get(PATH).headers["Content-Type"].startswith("text/html")


def test_latency_is_added():
    with client({"kind": "latency", "ms": 120}) as one:
        began = time.monotonic()
        assert one.get(PATH).status_code == 200
        assert time.monotonic() - began >= 0.12


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "drop"},
        {"kind": "timeout_before", "lasts": "100ms"},
        {"kind": "timeout_after", "lasts": "100ms"},
    ],
)
def test_no_answer_at_all(rule):
    with client(rule) as one:
        with pytest.raises(httpx.RemoteProtocolError):
            one.get(PATH)
        assert one.sim.status.faults[rule["kind"]] == 1


def test_half_an_answer():
    with client({"kind": "cut_short"}) as one:
        where = urlsplit(str(one.base_url))
        wire = http.client.HTTPConnection(where.hostname or "", where.port, timeout=5)
        wire.request("GET", f"{where.path.rstrip('/')}{PATH}")
        with pytest.raises(http.client.IncompleteRead), wire.getresponse() as reply:
            reply.read()
        wire.close()


def test_an_outage_is_of_what_it_names():
    with client({"kind": "outage", "symbols": "BTC-BRL", "until": "1h"}) as one:
        assert one.get(PATH).status_code == 503
        assert one.get("/ETH-BRL/trades?limit=1").status_code == 200


def test_a_skewed_clock_shows_in_stamps_but_not_in_the_market():
    with client({"kind": "clock_skew", "ms": 5000}) as one:
        assert one.get("/BTC-BRL/orderbook?limit=1").json()["timestamp"] == START + 5 * 10**9


def test_an_expired_token_is_the_gateways_answer():
    with client({"kind": "expired_token"}) as one:
        assert one.get(PATH).status_code == 200


def test_the_clock_can_be_moved_and_status_tells_it():
    with client() as one:
        base = str(one.base_url).removesuffix("/api/v4/")
        moved = one.post(f"{base}/_sim/clock", json={"advance_s": 2}).json()
        assert moved["now_ns"] == START + 2 * 10**9
        assert one.post(f"{base}/_sim/clock", json={"speed": -1}).status_code == 400
        one.get(PATH)
        shown = one.get(f"{base}/_sim/status").json()
        assert (shown["now_ns"], shown["requests"]) == (START + 2 * 10**9, {"trades": 1})


@pytest.mark.parametrize(
    "body",
    [
        '{"speed": NaN}',
        '{"speed": Infinity}',
        '{"speed": 1e400}',
        '{"speed": -1, "advance_s": 60}',
        '{"advance_s": 60, "speed": "fast"}',
        '{"advance_s": NaN}',
        '{"advance_s": 1e400}',
        '{"advance_s": 1e300}',
        '{"advance_s": -1}',
        '{"advance": 60}',
        '{"advance_s": 60, "sped": 2}',
        '{"speed": true}',
        '{"advance_s": "60"}',
        '{"advance_s": null}',
        "[1]",
        "[]",
        "7",
        "{",
    ],
)
def test_a_time_that_cannot_be_is_refused_and_the_exchange_goes_on(body):
    with client() as one:
        base = str(one.base_url).removesuffix("/api/v4/")
        refused = one.post(f"{base}/_sim/clock", content=body)
        assert (refused.status_code, list(refused.json())) == (400, ["error"])
        assert "object has no" not in refused.json()["error"]
        shown = one.get(f"{base}/_sim/status").json()
        assert (shown["now_ns"], shown["speed"]) == (START, 0)
        assert one.get(PATH).status_code == 200


def test_two_faults_that_would_end_a_socket_at_once_strike_one_after_the_other():
    rules = [{"kind": "disconnect", "each": 10}, {"kind": "silent", "each": 15}]
    faults = Faults(Plan.model_validate({"faults": rules}))
    which = np.zeros(20, np.int64)
    found = [faults.on_frames(["BTC-BRL"], which) for _ in range(2)]
    assert [(one.ends_at, one.ends.kind) for one in found] == [(9, "disconnect"), (0, "silent")]


def test_a_moment_waits_for_a_socket_that_it_is_about():
    rules = [{"kind": "silent", "at": "1s", "lasts": "1s", "symbols": "BTC-BRL"}]
    faults = Faults(Plan.model_validate({"faults": rules}), elapsed_s=lambda: 2.0)
    assert faults.strikes_idle([]) is None
    assert faults.strikes_idle(["ETH-BRL"]) is None
    struck = faults.strikes_idle(["ETH-BRL", "BTC-BRL"])
    assert struck is not None
    assert struck.kind == "silent"
    assert faults.strikes_idle(["BTC-BRL"]) is None


def test_a_limit_counts_only_what_struck():
    faults = Faults(
        Plan.model_validate({"faults": [{"kind": "disconnect", "each": 5, "limit": 3}]})
    )
    which = np.zeros(100, np.int64)
    found = [faults.on_frames(["BTC-BRL"], which) for _ in range(4)]
    assert [one.ends_at for one in found] == [4, 4, 4, None]


# plans


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faults: [{kind: nope}]", "fault 1 (nope): kind: found 'nope'; there is latency,"),
        ("faults: [{kind: latency}]", "latency needs ms"),
        ("faults: [{kind: drop, each: 3, chance: 0.5}]", "exclude each other"),
        ("faults: [{kind: outage, chance: 0.5}]", "goes by time"),
        ("faults: [{kind: silent, at: 3s}]", "needs lasts"),
        ("faults: [{kind: drop, after: 3s, until: 2s}]", "must be later"),
        ("seeds: 3", "seeds: unknown key; did you mean seed?"),
        ("switches: {since: maybe}", "switches.since: found 'maybe'; there is after"),
    ],
)
def test_a_plan_that_is_none_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_plan(path)
    assert said in str(refused.value)
    assert "plan.yaml:1" in str(refused.value)
    assert "\n" not in str(refused.value)
