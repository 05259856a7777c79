"""Logging in: which call, what it answers, and one login at a time for one key."""

from __future__ import annotations

import ipaddress
import json
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote_plus, urlsplit

from pydantic import SecretStr

from cq.errors import ConfigError, CqError, LoginRefused, Refused, Transient
from cq.exchanges.mercado_bitcoin.conversation import Steps
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.signing import SecretHeaders, Token
from cq.utils import log
from cq.utils.settings import Credentials, Ingestion
from cq.utils.time import MINUTE, SECOND

OAUTH2: Final = "/oauth2/token"
AUTHORIZE: Final = "/authorize"
VARIABLES: Final = ("CQ_CREDENTIALS__CLIENT_ID", "CQ_CREDENTIALS__CLIENT_SECRET")

EARLY: Final = 0.1
"""A token is renewed when this much of its life is left, a minute before its end at most."""

ABSENT: Final = (404, 405, 410, 501)
"""What a login that does not exist answers."""

AGAIN_NS: Final = 10 * SECOND
"""After a renewal that failed, a token that still lives is used so long before the next try."""

CHECK_KEY: Final = f"check {VARIABLES[0]} and {VARIABLES[1]}"
CHECK_LOGIN: Final = "check `ingestion.login`, `ingestion.login_url` and `ingestion.rest_base_url`"

Style: TypeAlias = Literal["oauth2", "oauth2_basic", "authorize"]


@dataclass(frozen=True)
class Way:
    """One of the ways to log in: where, and how the key is sent."""

    style: Style
    url: str


def ways(ingestion: Ingestion) -> tuple[Way, ...]:
    """The ways to try, in this order; a URL of the user's own is that of the first one."""
    first: Style = "oauth2" if ingestion.login == "auto" else ingestion.login
    path = AUTHORIZE if first == "authorize" else OAUTH2
    way = Way(first, ingestion.login_url or path)
    return (way, Way("authorize", AUTHORIZE)) if ingestion.login == "auto" else (way,)


@dataclass(frozen=True)
class Grant:
    """A login's answer: the token, and its life or its end in seconds."""

    secret: SecretStr
    life_s: int | None = None
    end_s: int | None = None

    def token(self, now_ns: int) -> Token:
        """The token that arrived at `now_ns` of the exchange's clock."""
        life = None if self.life_s is None else self.life_s * SECOND
        life = self.end_s * SECOND - now_ns if self.end_s is not None else life
        if life is None or life <= 0:  # an end that is past already tells of clocks, not of tokens
            return Token(self.secret)
        return Token(self.secret, now_ns + life, now_ns + life - min(MINUTE, round(life * EARLY)))


def login_question(way: Way, pair: tuple[SecretStr, SecretStr]) -> Question[Grant]:
    """Ask for a token in one of the ways that the exchange has known."""
    client_id, secret = (one.get_secret_value() for one in pair)
    both = f"{quote_plus(client_id)}:{quote_plus(secret)}"  # as RFC 6749 asks, section 2.3.1
    basic = b64encode(both.encode()).decode()
    endpoint = "authorize" if way.style == "authorize" else "oauth2_token"
    hidden = (SecretStr(basic), *pair)
    ask = partial(Question, endpoint, way.url, grant_from, method="POST", secrets=hidden)
    if way.style == "authorize":
        return ask(body={"login": client_id, "password": secret})
    form = {"grant_type": "client_credentials", "scope": "global"}
    if way.style == "oauth2":
        return ask(form=form | {"client_id": client_id, "client_secret": secret})
    return ask(form=form, headers=SecretHeaders(Authorization=f"Basic {basic}"))


def grant_from(body: bytes) -> Grant:
    """What a login answered; Unreadable, without a word of the body, where it is no token."""
    said = _parsed(body)
    secret = said.get("access_token")
    if not isinstance(secret, str) or not secret.isascii() or not secret.isprintable():
        raise Unreadable("the login", "it has no access_token")
    if not secret or " " in secret:
        raise Unreadable("the login", "its access_token is none")
    return Grant(
        SecretStr(secret), _seconds(said.get("expires_in")), _seconds(said.get("expiration"))
    )


def _parsed(body: bytes) -> dict[str, Any]:
    """The object in `body`, or an empty one: an error of the parser would quote the token."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(value: object) -> int | None:
    try:
        seconds = int(str(value))
    except ValueError:
        return None
    return seconds if abs(seconds) < 10**11 else None


class Abandoned(Exception):
    """Whoever was logging in was stopped; somebody else has to."""


@dataclass(frozen=True)
class Flight:
    """A login under way: the one who has it as `mine` does it, all others wait for its end."""

    mine: bool
    future: Future[Token] = field(repr=False)


class Session:
    """The token of one key, logged in for when it is needed, by one caller at a time.

    It may be shared by threads and event loops.
    """

    def __init__(self, ingestion: Ingestion, credentials: Credentials | None = None) -> None:
        self._ways = ways(ingestion)
        self._base_url = ingestion.rest_base_url
        self._credentials = credentials or Credentials()
        self._token: Token | None = None
        self._flight: Future[Token] | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Session({self._ways[0].style}, logged_in={self._token is not None})"

    def claim(self, refused: Token | None, now_ns: int) -> Token | Flight:
        """The token where it is good and was not `refused`, else the login to do or to await."""
        key(self._credentials)
        with self._lock:
            if refused is not None and refused is self._token:
                self._token = None
            if self._token is not None and self._token.is_good(now_ns):
                return self._token
            if self._flight is not None:
                return Flight(False, self._flight)
            self._flight = Future()
            self._flight.set_running_or_notify_cancel()  # so that no waiter can cancel it
            return Flight(True, self._flight)

    def land(self, flight: Flight, token: Token) -> None:
        """The login of `flight` gave `token`."""
        log.hide(token.secret)
        with self._lock:
            self._token, self._flight = token, None
        flight.future.set_result(token)

    def crash(self, flight: Flight, error: BaseException, now_ns: int) -> Token | None:
        """The login of `flight` failed, and all who wait learn why.

        A token that was to be renewed ahead of time serves on, and is the answer, while it lives.
        """
        with self._lock:
            held, self._token, self._flight = self._token, None, None
            serves = held is not None and held.lives(now_ns) and isinstance(error, Transient)
            if held is not None and serves:
                self._token = replace(held, renew_ns=now_ns + AGAIN_NS)
            kept = self._token
        if kept is not None:
            flight.future.set_result(kept)
        else:
            flight.future.set_exception(error if isinstance(error, CqError) else Abandoned())
        return kept

    def login(
        self, talk: Callable[[Question[Grant]], Steps[Grant]], now: Callable[[], int]
    ) -> Steps[Token]:
        """The steps of logging in: in the configured way, or the first one that is there."""
        missing: Refused | None = None
        for way in self._ways:
            question = login_question(way, key(self._credentials))
            if "://" in way.url:
                check_private(way.url, "ingestion.login_url")
            else:
                check_private(self._base_url, "ingestion.rest_base_url")
            outcome = yield from _granted(talk, question)
            if isinstance(outcome, Grant):
                # What worked comes first from now on.
                self._ways = (way, *(one for one in self._ways if one is not way))
                return outcome.token(now())
            if outcome.status not in ABSENT:
                raise refusal(outcome, CHECK_KEY)
            missing = outcome
        assert missing is not None
        raise refusal(missing, CHECK_LOGIN)


def _granted(
    talk: Callable[[Question[Grant]], Steps[Grant]], question: Question[Grant]
) -> Steps[Grant | Refused]:
    try:
        return (yield from talk(question))
    except Refused as refused:
        return refused


def key(credentials: Credentials) -> tuple[SecretStr, SecretStr]:
    """The API key; ConfigError naming the variables where it is missing."""
    pair = (credentials.client_id, credentials.client_secret)
    missing = [
        name
        for name, one in zip(VARIABLES, pair, strict=True)
        if one is None or not one.get_secret_value().strip()
    ]
    client_id, secret = pair
    if missing or client_id is None or secret is None:
        raise ConfigError(
            f"environment: {' and '.join(missing)}",
            "not set; private calls need an API key: its id in "
            f"{VARIABLES[0]}, its secret in {VARIABLES[1]}",
        )
    return client_id, secret


def check_private(url: str, setting: str) -> None:
    """ConfigError where the key would travel in the clear beyond this machine and its network."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # the port is checked as it is read
    except ValueError as wrong:
        raise ConfigError(setting, f"{url}: {wrong}") from None
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return
    try:
        near = ipaddress.ip_address(host).is_private
    except ValueError:
        near = False
    if not near:
        problem = f"{parts.scheme}://{host} would carry the API key unencrypted; use https"
        raise ConfigError(setting, problem)


def refusal(refused: Refused, advice: str) -> LoginRefused:
    """`refused` as the answer to a login."""
    said = (refused.path, refused.status, refused.code, refused.message)
    return LoginRefused(*said, advice)
