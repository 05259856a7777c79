"""The blocking shell around the wire: one connection pool, limits, time-outs, retries, token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from cq.errors import CqError, ExchangeError
from cq.exchanges.limits import Limits
from cq.exchanges.mercado_bitcoin.auth import Abandoned, Session
from cq.exchanges.mercado_bitcoin.conversation import Pause, Reply, Send, Sign, Step, Steps, Turn
from cq.exchanges.mercado_bitcoin.question import Answer, Question
from cq.exchanges.mercado_bitcoin.shell import Shell
from cq.exchanges.mercado_bitcoin.signing import Token, sign_request
from cq.exchanges.mercado_bitcoin.transport import FAILURES, failure, options, request
from cq.utils import clock as clocks
from cq.utils.settings import Credentials, Ingestion


class Rest(Shell):
    """Mercado Bitcoin's REST API v4 for threads; `AsyncRest` is the same for event loops.

    `ask` waits for its turn, asks, names what went wrong, and tries again where that may help.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        *,
        credentials: Credentials | None = None,
        session: Session | None = None,
        limits: Limits | None = None,
        clock: Callable[[], int] = clocks.now_ns,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(ingestion, credentials, session, limits, clock)
        self._sleep = sleep
        self._http = httpx.Client(**options(self.base_url, self._timeout_s))

    def ask(self, question: Question[Answer]) -> Answer:
        """What `question.read` makes of the answer; an ExchangeError once no try has helped."""
        return self._through(self.talk(question))

    def sign_request(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """The headers that make a request private, after a login where one is due."""
        return sign_request(self._token(None), path, params, body)

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _through(self, talk: Steps[Answer]) -> Answer:
        came: object = None
        while True:
            try:
                step = talk.send(came)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            came = self._done(step)

    def _done(self, step: Step) -> object:
        match step:
            case Turn(endpoint, again):
                self._limits.wait(endpoint, again=again, sleep=self._sleep)
            case Send():
                return self._send(step)
            case Sign(refused):
                return self._token(refused)
            case Pause(seconds, crowded):
                if crowded:
                    self._limits.hold(crowded, seconds)
                (self._sleep or time.sleep)(seconds)
        return None

    def _token(self, refused: Token | None) -> Token:
        while True:
            held = self.session.claim(refused, self.time_ns())
            if isinstance(held, Token):
                return held
            try:
                if not held.mine:
                    return held.future.result()
                token = self._through(self.session.login(self.talk, self.time_ns))
            except Abandoned:
                continue
            except BaseException as failed:
                kept = held.mine and self.session.crash(held, failed, self.time_ns())
                if kept:
                    return kept
                raise
            self.session.land(held, token)
            return token

    def _send(self, send: Send) -> Reply | ExchangeError:
        """One request, no longer than the time-out in all, however slowly the bytes drip."""
        self.requests += 1
        deadline = time.monotonic() + self._timeout_s
        elapsed = clocks.stopwatch()
        failed: CqError
        try:
            with self._http.stream(**request(self.base_url, send)) as response:
                self._arrived(response.headers.get("date", ""), elapsed())
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if time.monotonic() > deadline:
                        raise TimeoutError
                return Reply(response.status_code, response.headers, bytes(body))
        except FAILURES as error:
            failed = failure(error, self.base_url, self._timeout_s)
        if isinstance(failed, ExchangeError):
            return failed
        raise failed
