"""The shell around the wire for event loops; what it decides and how it waits is that of `Rest`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
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


class AsyncRest(Shell):
    """Mercado Bitcoin's REST API v4 for one event loop.

    `await ask(question)` is `Rest.ask`; both share the limits, and a `session` if it is handed on.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        *,
        credentials: Credentials | None = None,
        session: Session | None = None,
        limits: Limits | None = None,
        clock: Callable[[], int] = clocks.now_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(ingestion, credentials, session, limits, clock)
        self._sleep = sleep
        self._http = httpx.AsyncClient(**options(self.base_url, self._timeout_s))

    async def ask(self, question: Question[Answer]) -> Answer:
        """What `question.read` makes of the answer; an ExchangeError once no try has helped."""
        return await self._through(self.talk(question))

    async def sign_request(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """The headers that make a request private, after a login where one is due."""
        return sign_request(await self._token(None), path, params, body)

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _through(self, talk: Steps[Answer]) -> Answer:
        came: object = None
        while True:
            try:
                step = talk.send(came)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            came = await self._done(step)

    async def _done(self, step: Step) -> object:
        match step:
            case Turn(endpoint, again):
                for pause in self._limits.turns(endpoint, again=again):
                    await self._sleep(pause)
            case Send():
                return await self._send(step)
            case Sign(refused):
                return await self._token(refused)
            case Pause(seconds, crowded):
                if crowded:
                    self._limits.hold(crowded, seconds)
                await self._sleep(seconds)
        return None

    async def _token(self, refused: Token | None) -> Token:
        while True:
            held = self.session.claim(refused, self.time_ns())
            if isinstance(held, Token):
                return held
            try:
                if not held.mine:  # shielded: one waiter that is cancelled takes nobody along
                    return await asyncio.shield(asyncio.wrap_future(held.future))
                token = await self._through(self.session.login(self.talk, self.time_ns))
            except Abandoned:
                continue
            except BaseException as failed:
                kept = held.mine and self.session.crash(held, failed, self.time_ns())
                if kept:
                    return kept
                raise
            self.session.land(held, token)
            return token

    async def _send(self, send: Send) -> Reply | ExchangeError:
        """One request, no longer than the time-out in all, however slowly the bytes drip."""
        self.requests += 1
        elapsed = clocks.stopwatch()
        failed: CqError
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream(**request(self.base_url, send)) as response,
            ):
                self._arrived(response.headers.get("date", ""), elapsed())
                body = await response.aread()
                return Reply(response.status_code, response.headers, body)
        except FAILURES as error:
            failed = failure(error, self.base_url, self._timeout_s)
        if isinstance(failed, ExchangeError):
            return failed
        raise failed
