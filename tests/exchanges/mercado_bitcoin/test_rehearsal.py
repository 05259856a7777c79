"""The client's account side against the local exchange: two makers of one wire meet."""

import asyncio
from decimal import Decimal

import pytest

from cq.errors import LoginRefused, Refused
from cq.exchanges.mercado_bitcoin import (
    AsyncMercadoBitcoin,
    AsyncMercadoBitcoinAccount,
    AsyncRest,
    MercadoBitcoinAccount,
    Rest,
)
from cq.exchanges.mercado_bitcoin.question import Question
from cq.sim.clock import SimClock
from cq.sim.holders import LOGIN, PASSWORD, Holder
from cq.sim.private import private_side
from cq.sim.server import running
from cq.sim.simulation import Simulation
from cq.sim.switches import Switches
from cq.sim.tape import Tape
from cq.utils.config import defaults
from cq.utils.settings import Credentials
from cq.utils.time import parse_time

START = parse_time("2026-01-05")
TAPE = Tape.generated(seed=5)
KEY = Credentials.model_validate({"client_id": LOGIN, "client_secret": PASSWORD})


@pytest.fixture
def rehearsal(tmp_path):
    """Opens a local exchange; gives it and the shipped settings that lead there."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def open_one(limited=False, **switches):
            said = Switches(**switches)
            side = private_side(TAPE, START, (Holder(),), said)
            sim = Simulation(TAPE, SimClock(START, speed=0), said, exchange=side, limited=limited)
            url = stack.enter_context(running(sim)).rest
            settings = defaults(tmp_path).ingestion.model_copy(update={"rest_base_url": url})
            if not limited:
                quick = settings.rate_limits.model_copy(
                    update={"requests_per_minute": 1e7, "requests_per_second": 1e5}
                )
                settings = settings.model_copy(update={"rate_limits": quick})
            return sim, settings

        yield open_one


@pytest.mark.parametrize("login", ["auto", "oauth2", "oauth2_basic", "authorize"])
def test_every_login_opens_the_local_exchange(rehearsal, login):
    _, settings = rehearsal()
    settings = settings.model_copy(update={"login": login})
    with Rest(settings, credentials=KEY) as rest:
        account = MercadoBitcoinAccount(rest)
        (first,) = account.accounts()
        assert account.balances(first.id)["BRL"].available == Decimal(100_000)
        fees = account.fees(first.id, "BTC-BRL")
        assert 0 < fees.maker < fees.taker < 1
        assert account.positions(first.id) == []
        assert account.tier(first.id) is None


def test_the_old_login_serves_where_the_new_one_is_not(rehearsal):
    _, settings = rehearsal(oauth2=False)

    async def run():
        async with AsyncRest(settings, credentials=KEY) as rest:
            return await AsyncMercadoBitcoinAccount(rest).accounts()

    assert len(asyncio.run(run())) == 1


def test_tokens_that_expire_are_renewed(rehearsal):
    sim, settings = rehearsal()
    with Rest(settings, credentials=KEY) as rest:
        account = MercadoBitcoinAccount(rest)
        account.accounts()
        sim.exchange.expire_tokens()
        assert account.accounts()


def test_a_wrong_key_is_refused(rehearsal):
    _, settings = rehearsal()
    wrong = Credentials.model_validate({"client_id": LOGIN, "client_secret": "another"})
    with (
        Rest(settings, credentials=wrong) as rest,
        pytest.raises(LoginRefused, match="CQ_CREDENTIALS__CLIENT_ID"),
    ):
        MercadoBitcoinAccount(rest).accounts()


def test_an_open_order_is_a_position_and_binds_its_money(rehearsal):
    _, settings = rehearsal()
    with Rest(settings, credentials=KEY) as rest:
        account = MercadoBitcoinAccount(rest)
        (first,) = account.accounts()
        price = int(TAPE.last_price("BTC-BRL", START) * Decimal("0.9"))
        order = {"side": "buy", "type": "limit", "qty": "0.01", "limitPrice": Decimal(price)}
        path = f"/accounts/{first.id}/BTC-BRL/orders"
        rest.ask(
            Question(
                "place_order", path, bytes, method="POST", body=order, private=True, safe=False
            )
        )
        (position,) = account.positions(first.id)
        assert (position.symbol, position.side, position.kind) == ("BTC-BRL", "buy", "limit")
        assert position.quantity == Decimal("0.01")
        money = account.balances(first.id)["BRL"]
        assert money.on_hold > 0
        assert money.available + money.on_hold == money.total


def test_somebody_elses_account_is_refused_without_a_new_login(rehearsal):
    _, settings = rehearsal()
    with Rest(settings, credentials=KEY) as rest, pytest.raises(Refused, match="403"):
        MercadoBitcoinAccount(rest).balances("f" * 64)


def test_at_the_shipped_settings_no_request_is_one_too_many(rehearsal):
    sim, settings = rehearsal(limited=True)

    async def run():
        async with AsyncRest(settings, credentials=KEY) as rest:
            account = AsyncMercadoBitcoinAccount(rest)
            (first,) = await account.accounts()
            await asyncio.gather(*(account.balances(first.id) for _ in range(7)))

    asyncio.run(run())
    assert sim.status.statuses[429] == 0
    assert sim.status.statuses[200] == 9


def test_limits_that_are_off_by_a_factor_of_two_cost_time_only(rehearsal):
    sim, settings = rehearsal(limited=True, limit_factor=10, limit_slack_ms=0)
    rate = settings.rate_limits.model_copy(update={"requests_per_second": 20})
    retry = settings.retry.model_copy(update={"backoff_base_ms": 50, "backoff_jitter_ms": 25})
    settings = settings.model_copy(update={"rate_limits": rate, "retry": retry})

    async def run():
        async with AsyncRest(settings) as rest:
            market = AsyncMercadoBitcoin(rest)
            return await asyncio.gather(*(market.tickers(["BTC-BRL"]) for _ in range(30)))

    assert all(one.height == 1 for one in asyncio.run(run()))
    assert sim.status.statuses[200] == 30
    assert sim.status.statuses[429] > 0
