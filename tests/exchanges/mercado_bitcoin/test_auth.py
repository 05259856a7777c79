import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from exchange import Fault
from key_exchange import ACCOUNT, CLIENT_ID, CLIENT_SECRET, GATEWAY_401, NO_TOKEN

from cq.errors import ConfigError, LoginRefused, Refused, Unavailable, Unreachable
from cq.exchanges.mercado_bitcoin import AsyncRest, Rest, accounts
from cq.exchanges.mercado_bitcoin.auth import Session, check_private, grant_from
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.utils.settings import Credentials
from cq.utils.time import HOUR, MINUTE, SECOND, parse_time

NOW = parse_time("2026-09-27")
LIST = accounts.accounts()
PATH = "/accounts"
LOGIN = "/oauth2/token"
EDGE = "<html><title>Access denied</title><body>error code: 1010</body></html>"


def test_one_login_serves_all_calls(either, locked):
    first, second = either.ask(LIST, LIST)
    assert first == second
    assert first[0].id == ACCOUNT
    assert locked.paths() == [LOGIN, PATH, PATH]
    assert locked.asked[1].headers["Authorization"] == f"Bearer {locked.issued[0]}"


def test_the_new_login_is_a_form(either, locked):
    either.ask(LIST)
    login = locked.asked[0]
    assert (login.method, login.path, login.query) == ("POST", LOGIN, {})
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in login.headers


def test_the_key_may_travel_in_a_header_instead(either, locked):
    either.settings = {"login": "oauth2_basic"}
    either.ask(LIST)
    assert locked.asked[0].headers["Authorization"].startswith("Basic ")
    assert "client_secret" not in locked.asked[0].body


def test_the_old_login_is_json(either, locked):
    either.settings = {"login": "authorize"}
    either.ask(LIST)
    assert locked.paths() == ["/authorize", PATH]
    assert locked.asked[0].headers["Content-Type"] == "application/json"
    assert set(json.loads(locked.asked[0].body)) == {"login", "password"}


def test_without_the_new_login_the_old_one_serves_and_is_remembered(either, locked):
    locked.logins = ("/authorize",)
    either.ask(LIST)
    locked.expire()
    either.options["session"] = either.rest.session
    either.ask(LIST)
    assert locked.paths() == [LOGIN, "/authorize", PATH, PATH, "/authorize", PATH]


def test_an_old_login_that_goes_away_is_forgotten(either, locked):
    locked.logins = ("/authorize",)
    either.ask(LIST)
    locked.logins = (LOGIN,)
    locked.expire()
    either.options["session"] = either.rest.session
    either.ask(LIST)
    assert locked.paths()[-4:] == [PATH, "/authorize", LOGIN, PATH]


def test_the_login_may_lie_anywhere(either, locked):
    locked.logins = ()
    locked.answers["/elsewhere"] = {}
    either.settings = {"login": "oauth2", "login_url": f"{locked.url}/elsewhere"}
    with pytest.raises(LoginRefused):
        either.ask(LIST)
    assert locked.paths() == ["/elsewhere"]


def test_no_login_at_all_names_the_settings(either, locked):
    locked.logins = ()
    with pytest.raises(LoginRefused, match=r"ingestion.login.*ingestion.rest_base_url") as refused:
        either.ask(LIST)
    assert locked.paths() == [LOGIN, "/authorize"]
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("login", ["oauth2", "oauth2_basic", "authorize"])
def test_a_wrong_key_is_one_line_that_names_the_variables(either, locked, login):
    either.settings = {"login": login}
    either.options["credentials"] = locked.key(client_secret="not-it")
    with pytest.raises(LoginRefused, match="CQ_CREDENTIALS__CLIENT_SECRET") as refused:
        either.ask(LIST)
    assert refused.value.exit_code == 4
    assert str(refused.value).isprintable()
    assert "not-it" not in str(refused.value)
    assert len(locked.asked) == 1


def test_a_refusal_that_quotes_the_key_is_cut(either, locked):
    said = json.dumps({"code": f"NO|{CLIENT_ID}", "message": f"no {CLIENT_SECRET} here"})
    locked.faults[LOGIN].append(Fault(400, said))
    with pytest.raises(LoginRefused) as refused:
        either.ask(LIST)
    for secret in (CLIENT_ID, CLIENT_SECRET):
        assert secret not in str(refused.value) + refused.value.message + refused.value.code


@pytest.mark.parametrize(
    ("credentials", "missing"),
    [
        ({}, "CQ_CREDENTIALS__CLIENT_ID and CQ_CREDENTIALS__CLIENT_SECRET"),
        ({"client_id": "x"}, "CQ_CREDENTIALS__CLIENT_SECRET"),
        ({"client_id": " ", "client_secret": "x"}, "CQ_CREDENTIALS__CLIENT_ID"),
    ],
)
def test_without_a_key_the_variables_are_named(either, locked, credentials, missing):
    either.options["credentials"] = Credentials.model_validate(credentials)
    with pytest.raises(ConfigError) as failed:
        either.ask(LIST)
    assert str(failed.value).startswith(f"environment: {missing}: not set; private calls need")
    assert locked.asked == []


@pytest.mark.parametrize("refusal", ["401", "403"])
def test_a_token_that_is_not_taken_is_renewed_once(either, locked, refusal):
    locked.refusal = refusal
    said = json.dumps(GATEWAY_401 if refusal == "401" else NO_TOKEN)
    locked.faults[PATH].append(Fault(int(refusal), said))
    assert either.ask(LIST)
    assert locked.paths() == [LOGIN, PATH, LOGIN, PATH]
    assert locked.asked[3].headers["Authorization"] == f"Bearer {locked.issued[1]}"
    assert either.slept == []


@pytest.mark.parametrize("refusal", ["401", "403"])
def test_a_second_refusal_is_the_end(either, locked, refusal):
    said = json.dumps(GATEWAY_401 if refusal == "401" else NO_TOKEN)
    locked.faults[PATH].extend([Fault(int(refusal), said)] * 2)
    with pytest.raises(LoginRefused, match="just issued; check the rights") as refused:
        either.ask(LIST)
    assert refused.value.exit_code == 4
    assert locked.paths() == [LOGIN, PATH, LOGIN, PATH]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"code": 403, "status": "Forbidden", "message": "not sufficient"}}),
        EDGE,
    ],
)
def test_another_403_is_no_question_of_the_token(either, locked, body):
    locked.faults[PATH].append(Fault(403, body))
    with pytest.raises(Refused, match="403"):
        either.ask(LIST)
    assert locked.paths() == [LOGIN, PATH]


def test_a_login_that_the_edge_blocks_is_said(either, locked):
    locked.faults[LOGIN].append(Fault(403, EDGE))
    with pytest.raises(LoginRefused, match="edge error 1010"):
        either.ask(LIST)


def test_a_login_is_tried_again_like_any_call(either, locked):
    locked.faults[LOGIN].extend([Fault(503), Fault(429, headers={"Retry-After": "7"})])
    assert either.ask(LIST)
    assert either.slept == [0.0, 7.0]


def test_a_login_that_fails_to_the_end_is_not_tried_again_by_the_call(either, locked):
    locked.faults[LOGIN].extend([Fault(503)] * 9)
    with pytest.raises(Unavailable):
        either.ask(LIST)
    assert locked.paths() == [LOGIN] * 3


@pytest.mark.parametrize(
    "body", ["<html>", "[]", "{}", '{"access_token": 7}', '{"access_token": "a b"}', '{"access_t']
)
def test_an_answer_without_a_token_is_unreadable_and_not_quoted(body):
    with pytest.raises(Unreadable, match="access_token") as failed:
        grant_from(body.encode())
    assert failed.value.__context__ is None


class Clock:
    """Ours and the exchange's, which is `ahead_ns` of it."""

    def __init__(self, ahead_ns=0):
        self.now_ns, self.ahead_ns = NOW, ahead_ns

    def ours(self):
        return self.now_ns

    def theirs(self):
        return self.now_ns + self.ahead_ns


@pytest.mark.parametrize("login", ["oauth2", "authorize"])
@pytest.mark.parametrize("ahead_ns", [0, -3 * HOUR, 3 * HOUR])
def test_a_token_is_renewed_ahead_of_its_end_by_the_exchanges_clock(locked, login, ahead_ns):
    clock = Clock(ahead_ns)
    locked.clock = clock.theirs
    with Rest(locked.ingestion(login=login), credentials=locked.key(), clock=clock.ours) as rest:
        rest.ask(LIST)
        clock.now_ns += 3599 * SECOND - MINUTE - 2 * SECOND
        rest.ask(LIST)
        assert len(locked.issued) == 1
        clock.now_ns += 3 * SECOND
        rest.ask(LIST)
        assert len(locked.issued) == 2


@pytest.mark.parametrize("life_s", [None, -5, "soon", 0])
def test_a_life_that_cannot_be_known_is_lived_until_it_is_refused(locked, life_s):
    clock = Clock()
    locked.life_s, locked.clock = life_s, clock.theirs
    with Rest(locked.ingestion(), credentials=locked.key(), clock=clock.ours) as rest:
        rest.ask(LIST)
        clock.now_ns += 100 * HOUR
        rest.ask(LIST)
        assert len(locked.issued) == 1
        locked.expire()
        rest.ask(LIST)
        assert len(locked.issued) == 2


def test_a_renewal_that_fails_leaves_a_token_that_still_lives_in_use(either, locked):
    clock = Clock()
    locked.clock, either.options["clock"] = clock.theirs, clock.ours
    either.ask(LIST)
    clock.now_ns += 3599 * SECOND - 30 * SECOND
    locked.faults[LOGIN].extend([Fault(503)] * 3)
    either.options["session"] = either.rest.session
    assert either.ask(LIST)
    assert len(locked.issued) == 1
    clock.now_ns += 11 * SECOND
    assert either.ask(LIST)
    assert len(locked.issued) == 2


def test_many_threads_log_in_once(locked):
    with (
        Rest(locked.ingestion(), credentials=locked.key()) as rest,
        ThreadPoolExecutor(16) as pool,
    ):
        for round_number in range(1, 4):
            found = [pool.submit(rest.ask, LIST) for _ in range(32)]
            assert all(one.result() for one in found)
            assert len(locked.issued) == round_number
            locked.expire()


def test_many_tasks_log_in_once(locked):
    async def run():
        async with AsyncRest(locked.ingestion(), credentials=locked.key()) as rest:
            for round_number in range(1, 4):
                await asyncio.gather(*(rest.ask(LIST) for _ in range(32)))
                assert len(locked.issued) == round_number
                locked.expire()

    asyncio.run(run())


def test_threads_and_an_event_loop_share_a_session(locked):
    session = Session(locked.ingestion(), locked.key())

    async def run():
        async with AsyncRest(locked.ingestion(), session=session) as later:
            with Rest(locked.ingestion(), session=session) as rest:
                asked = [asyncio.to_thread(rest.ask, LIST) for _ in range(8)]
                await asyncio.gather(*asked, *(later.ask(LIST) for _ in range(8)))

    asyncio.run(run())
    assert len(locked.issued) == 1


def test_all_who_wait_for_a_login_that_fails_learn_why(locked):
    with (
        Rest(locked.ingestion(), credentials=locked.key(client_id="x")) as rest,
        ThreadPoolExecutor(8) as pool,
    ):
        locked.gate.clear()
        found = [pool.submit(rest.ask, LIST) for _ in range(8)]
        locked.gate.set()
        for one in found:
            with pytest.raises(LoginRefused):
                one.result()


def test_a_login_that_is_given_up_is_done_by_somebody_else(locked):
    async def run():
        async with AsyncRest(locked.ingestion(), credentials=locked.key()) as rest:
            locked.gate.clear()
            first = asyncio.create_task(rest.ask(LIST))
            while not locked.asked:
                await asyncio.sleep(0.001)
            second, third = (asyncio.create_task(rest.ask(LIST)) for _ in range(2))
            await asyncio.sleep(0)
            third.cancel()
            with suppress(asyncio.CancelledError):
                await third
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            locked.gate.set()
            assert await second

    asyncio.run(run())
    assert locked.paths()[-2:] == [LOGIN, PATH]


def test_sign_request_gives_the_headers_of_a_private_call(locked):
    with Rest(locked.ingestion(), credentials=locked.key()) as rest:
        headers = rest.sign_request("/accounts", {"a": 1}, {"b": 2})
        assert headers == {"Authorization": f"Bearer {locked.issued[0]}"}
        assert locked.issued[0] not in f"{headers} {headers!r}"

    async def later():
        async with AsyncRest(locked.ingestion(), credentials=locked.key()) as rest:
            return await rest.sign_request("/accounts")

    assert asyncio.run(later()) == {"Authorization": f"Bearer {locked.issued[1]}"}


@pytest.mark.parametrize(
    "url", ["https://api.example/x", "http://localhost:1", "http://127.0.0.1", "http://10.0.0.7/x"]
)
def test_a_key_travels_encrypted_or_near(url):
    check_private(url, "ingestion.login_url")


@pytest.mark.parametrize("url", ["http://api.example/x", "http://8.8.8.8"])
def test_a_key_never_travels_far_in_the_clear(url):
    with pytest.raises(ConfigError, match=r"ingestion.login_url: .* use https"):
        check_private(url, "ingestion.login_url")


def test_nobody_at_the_login_is_out_of_reach(either, locked):
    either.settings = {"login_url": "http://127.0.0.1:1/token"}
    with pytest.raises(Unreachable):
        either.ask(LIST)
