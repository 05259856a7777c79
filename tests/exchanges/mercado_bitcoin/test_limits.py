import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import ConfigError
from cq.exchanges.limits import Limits, Rate
from cq.exchanges.mercado_bitcoin import accounts
from cq.exchanges.mercado_bitcoin.limits import PRIVATE, PUBLIC, UNSTATED, limits_for, rates
from cq.sim import public
from cq.sim.clock import SimClock
from cq.sim.holders import Holder
from cq.sim.limits import ALL, DOCUMENTED
from cq.sim.private import private_side
from cq.sim.simulation import Simulation
from cq.sim.switches import Switches
from cq.sim.tape import Tape
from cq.utils.time import MINUTE, SECOND

ENDPOINTS = (*PUBLIC, *PRIVATE, *UNSTATED)


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self):
        self.now_ns = 0

    def clock(self):
        return self.now_ns

    def sleep(self, seconds):
        self.now_ns += round(seconds * SECOND)


def used(endpoint, count, requests_per_minute=1e9, a_second=1.0):
    time = Time()
    limits = Limits(
        requests_per_minute, a_second, rates(a_second), clock=time.clock, sleep=time.sleep
    )
    moments = []
    for _ in range(count):
        limits.wait(endpoint)
        moments.append(time.now_ns)
    return moments


def documented(text, row, unit):
    (found,) = re.findall(rf"{row}[^|]*\| (\d+) per {unit}", text)
    return float(found)


def test_the_table_is_the_documented_one(shared):
    text = (shared / "mercado_bitcoin" / "API.md").read_text()
    known = rates(1)
    assert known["candles"] == Rate(documented(text, "each public endpoint", "second"))
    one_market = Rate(documented(text, "list orders of one market", "second"))
    assert known["list_market_orders"] == one_market
    for name in ("list_all_orders", "place_order", "cancel_order", "balances"):
        assert known[name] == Rate(documented(text, "list all orders; place", "second"))
    for name in ("get_order", "positions"):
        assert known[name] == Rate(documented(text, "get one order; positions", "second"))
    assert known["cancel_all_orders"] == Rate(documented(text, "cancel all", "minute"), 60)
    assert [name for name, rate in known.items() if rate is None] == list(UNSTATED)
    assert set(known) == set(ENDPOINTS)


def test_the_simulated_exchange_has_the_same_word_for_each_endpoint():
    tape = Tape.generated(seed=0)
    side = private_side(tape, 0, (Holder(),), Switches(), 0)
    sim = Simulation(tape, SimClock(0, 0.0), exchange=side)
    routes = [*public.routes(sim), *side.routes(sim)]
    assert {one.kwargs["name"] for one in routes} == set(ENDPOINTS)
    assert set(DOCUMENTED) - {ALL} == {*PUBLIC, *PRIVATE}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_no_endpoint_is_ever_called_more_often_than_it_may(endpoint):
    rate = rates(1)[endpoint]
    if rate is None:
        return
    moments, window = used(endpoint, 40), round(rate.seconds * SECOND)
    assert all(
        sum(start <= one < start + window for one in moments) <= rate.calls for start in moments
    )
    assert moments[-1] <= 40 / rate.calls * window * 1.06


@pytest.mark.parametrize("endpoint", UNSTATED)
def test_an_endpoint_without_a_rate_counts_against_all_calls_only(endpoint):
    assert used(endpoint, 40)[-1] < SECOND // 1000
    moments = used(endpoint, 1000, requests_per_minute=500)
    assert moments[-1] > 1.8 * MINUTE


def test_the_private_rates_follow_the_setting_in_proportion():
    gaps = {later - earlier for earlier, later in pairwise(used("balances", 5, a_second=100))}
    assert max(gaps) <= 1.06 * SECOND / 300


def test_an_unknown_endpoint_is_taken_for_a_public_one():
    assert used("whatever", 3)[-1] >= 2 * SECOND


def granted(limits, now, names):
    """When each call may leave, where all of them are asked for at once: (moment, endpoint)."""
    waiting, found = [(0, name, limits.turns(name)) for name in names], []
    while waiting:
        waiting.sort(key=lambda one: one[0])
        at, name, turns = waiting.pop(0)
        now[0] = max(now[0], at)
        pause = next(turns, None)
        if pause is None:
            found.append((now[0], name))
        else:
            waiting.append((now[0] + round(pause * SECOND), name, turns))
    return found


def most(moments, window):
    return max(sum(one <= other < one + window for other in moments) for one in moments)


def test_a_long_line_at_one_endpoint_neither_blocks_others_nor_lets_them_overtake_the_limit():
    now = [0]
    limits = Limits(60, 1, clock=lambda: now[0], sleep=lambda _: None)
    found = granted(limits, now, ["a"] * 60 + ["b"] * 30 + ["c"] * 30)
    assert most([at for at, _ in found], MINUTE) <= 60
    assert {name for _, name in found[:5]} == {"a", "b", "c"}


@given(st.lists(st.sampled_from(["tickers", "balances", "accounts"]), min_size=1, max_size=120))
def test_every_limit_holds_whatever_the_mixture(names):
    now, known = [0], rates(1)
    limits = Limits(100, 1, known, clock=lambda: now[0], sleep=lambda _: None)
    found = granted(limits, now, names)
    assert most([at for at, _ in found], MINUTE) <= 100
    for endpoint in set(names) - {"accounts"}:
        moments = [at for at, name in found if name == endpoint]
        assert most(moments, SECOND) <= known[endpoint].calls


def test_everything_in_the_process_shares_the_limits_of_one_exchange(locked):
    settings = locked.ingestion()
    assert limits_for(settings) is limits_for(settings)
    other = locked.ingestion(rate_limits={"requests_per_minute": 1, "requests_per_second": 1})
    assert limits_for(other) is not limits_for(settings)


@pytest.mark.parametrize("url", ["http://[::1", "http://a:99999/"])
def test_an_address_that_is_none_is_said(locked, url):
    with pytest.raises(ConfigError, match=r"ingestion\.rest_base_url"):
        limits_for(locked.ingestion(rest_base_url=url))


def test_every_private_reading_names_a_known_endpoint():
    asked = [accounts.accounts(), accounts.balances("1"), accounts.fees("1", "BTC-BRL")]
    asked += [accounts.positions("1"), next(accounts.tier("1"))]
    assert {one.endpoint for one in asked} <= set(ENDPOINTS)
