"""Key, secret, token and login body are in nothing that talks with a private endpoint show.

A whole run, from `init` to `replay`, is in tests/test_secrets.py.
"""

import asyncio
import json
import logging
import traceback
from base64 import b64encode
from html import escape
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from cassettes import recorder
from exchange import Fault
from key_exchange import CLIENT_ID, CLIENT_SECRET, GATEWAY_401
from loguru import logger
from pydantic import SecretStr

from cq.errors import CqError, Refused
from cq.exchanges.mercado_bitcoin import (
    AsyncMercadoBitcoinAccount,
    AsyncRest,
    MercadoBitcoinAccount,
    Rest,
    accounts,
)
from cq.exchanges.mercado_bitcoin.auth import Grant, login_question, ways
from cq.exchanges.mercado_bitcoin.conversation import Reply, Send, Sign
from cq.exchanges.mercado_bitcoin.signing import Token, sign_request
from cq.utils import log
from cq.utils.config import defaults

LIST = accounts.accounts()
LOGIN = "/oauth2/token"
STYLES = ("auto", "oauth2_basic", "authorize")
PAIRS = (
    f"{CLIENT_ID}:{CLIENT_SECRET}",
    f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}",
)
FORMS = (
    CLIENT_ID,
    CLIENT_SECRET,
    quote_plus(CLIENT_SECRET),
    json.dumps(CLIENT_SECRET)[1:-1],
    escape(CLIENT_SECRET),
    *(b64encode(pair.encode()).decode() for pair in PAIRS),
    "tokenOfNobody",
    "Bearer",
    "grant_type",
)
"""Every form in which one of them could show; all tokens of the loopback exchange begin alike."""


def found_in(text):
    return [form for form in FORMS if form in text]


def unlucky(exchange):
    """Ways for a run to go wrong: what fails, and with which faults."""
    quoting = json.dumps({"code": CLIENT_ID, "message": f"no {CLIENT_SECRET}"})
    sent = f"{quote_plus(CLIENT_SECRET)} {b64encode(PAIRS[1].encode()).decode()}"
    quoting_what_was_sent = json.dumps({"code": "API|BAD", "message": f"cannot take {sent}"})
    marked = f"<html><title>bad request: {escape(f'{CLIENT_SECRET} {sent}')}</title></html>"
    return [
        {},
        {LOGIN: [Fault(kind="drop")]},
        {LOGIN: [Fault(503)] * 3},
        {LOGIN: [Fault(200, '{"access_token": "token Of Nobody", "x": "')] * 3},
        {LOGIN: [Fault(400, quoting)]},
        {LOGIN: [Fault(400, quoting_what_was_sent)]},
        {LOGIN: [Fault(400, marked)]},
        {LOGIN: [Fault(403, "<html><title>no</title></html>")]},
        {"/accounts": [Fault(401, json.dumps(GATEWAY_401))]},
        {"/accounts": [Fault(401, json.dumps(GATEWAY_401))] * 2},
        {"/accounts": [Fault(kind="drop")] * 3},
        {"/accounts": [Fault(200, "{")] * 3},
        {"/accounts": [Fault(302, headers={"Location": "http://127.0.0.1:1/x"})]},
    ]


def run(exchange, style, credentials):
    """One reading by threads and one by an event loop; what their errors show."""
    said = []
    settings = exchange.ingestion(login=style)
    with Rest(settings, credentials=credentials) as rest:
        try:
            said.append(repr(MercadoBitcoinAccount(rest).accounts()))
        except CqError as error:
            said += shown(error)
        said += [repr(rest), repr(rest.session), str(vars(rest)), str(vars(rest.session))]
    return said


def run_later(exchange, style, credentials):
    async def later():
        said = []
        async with AsyncRest(exchange.ingestion(login=style), credentials=credentials) as rest:
            try:
                said.append(repr(await AsyncMercadoBitcoinAccount(rest).accounts()))
            except CqError as error:
                said += shown(error)
            return [*said, repr(rest), str(vars(rest)), str(vars(rest.session))]

    return asyncio.run(later())


def shown(error):
    """An error in every way that it may be shown, the values of all frames' variables included."""
    chain, seen = [error], []
    while chain:
        one = chain.pop()
        told = traceback.TracebackException.from_exception(one, capture_locals=True)
        told.stack = traceback.StackSummary.from_list(
            [frame for frame in told.stack if Path(frame.filename).parent != Path(__file__).parent]
        )
        seen += [str(one), repr(one), str(vars(one)), *told.format(chain=False)]
        chain += [linked for linked in (one.__context__, one.__cause__) if linked is not None]
    return seen


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("runs", [run, run_later], ids=["threads", "event loop"])
def test_no_log_and_no_error_has_a_secret(locked, tmp_path, style, runs):
    path, standard = tmp_path / "cq.jsonl", tmp_path / "standard.log"
    key, root = locked.key(), logging.getLogger()
    settings = defaults(tmp_path).model_copy(
        update={"log_file": path, "log_level": "DEBUG", "credentials": key}
    )
    handler, level = logging.FileHandler(standard), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    said = []
    try:
        log.configure(settings)
        for faults in unlucky(locked):
            if style == "authorize" and LOGIN in faults:
                faults["/authorize"] = faults.pop(LOGIN)
            for where, some in faults.items():
                locked.faults[where].extend(some)
            said += runs(locked, style, key)
            locked.faults.clear()
        said += runs(locked, style, locked.key(client_secret=f"{CLIENT_SECRET}-wrong"))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
        logger.remove()
    assert len(locked.issued) >= 3
    lines = path.read_text()
    assert '"status": 200' in lines
    assert '"retry"' in lines
    assert standard.stat().st_size > 0
    for text in (lines, standard.read_text(), "\n".join(said)):
        assert found_in(text) == []


def test_no_repr_has_a_secret(locked):
    key = locked.key()
    token = Token(SecretStr("tokenOfNobody0001"))
    for style in ("oauth2", "oauth2_basic", "authorize"):
        (way,) = ways(locked.ingestion(login=style))
        question = login_question(way, (key.client_id, key.client_secret))
        for one in (question, Send(question, token), way, key):
            assert found_in(f"{one} {one!r}") == []
    headers = sign_request(token, "/accounts")
    for one in (
        token,
        Sign(token),
        headers,
        Grant(token.secret, 1),
        Reply(200, headers, b"Bearer"),
    ):
        assert found_in(f"{one} {one!r}") == []


def test_a_refusal_that_quotes_the_token_is_cut(locked):
    token = locked.issue()
    locked.issued.clear()  # so that the next login gives the same one
    locked.faults["/accounts"].append(Fault(400, json.dumps({"code": token, "message": token})))
    with Rest(locked.ingestion(), credentials=locked.key()) as rest, pytest.raises(Refused) as no:
        rest.ask(LIST)
    assert locked.issued == [token]
    assert found_in("".join(shown(no.value))) == []


@pytest.mark.parametrize("style", STYLES)
def test_no_cassette_has_a_secret(locked, tmp_path, style):
    settings = locked.ingestion(login=style)
    with (
        recorder(tmp_path, "all").use_cassette(f"{style}.yaml"),
        Rest(settings, credentials=locked.key()) as rest,
    ):
        first = rest.ask(LIST)
    text = (tmp_path / f"{style}.yaml").read_text()
    assert "access_token" in text
    assert [form for form in found_in(text) if form != "grant_type"] == []
    with (
        recorder(tmp_path).use_cassette(f"{style}.yaml"),
        Rest(settings, credentials=locked.key()) as rest,
    ):
        assert rest.ask(LIST) == first
    assert len(locked.issued) == 1


def test_a_token_that_reaches_a_log_line_is_cut_out(locked, tmp_path):
    path = tmp_path / "cq.jsonl"
    log.configure(defaults(tmp_path).model_copy(update={"log_file": path}))
    with Rest(locked.ingestion(), credentials=locked.key()) as rest:
        header = rest.sign_request("/accounts")["Authorization"]
    log.event("test", "careless", level="WARNING", reason=header)
    assert locked.issued[0] not in path.read_text()
    logger.remove()
