"""One call of the API without a socket: what to do next comes out, what came of it goes in.

A shell (`Rest`, `AsyncRest`) does the steps; limits, token, errors and retries are decided here,
once for all shells.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cq.errors import ExchangeError, LoginRefused, RateLimited, Refused
from cq.exchanges.mercado_bitcoin.errors import error_in
from cq.exchanges.mercado_bitcoin.question import Answer, Question
from cq.exchanges.mercado_bitcoin.retrying import as_final, pause_after, wants_a_new_token
from cq.exchanges.mercado_bitcoin.signing import Token, without
from cq.utils.settings import Retry

RIGHTS = "check the rights of the API key, or try again later"


@dataclass(frozen=True)
class Sign:
    """Have a token that is good; not the one that was `refused`. The answer is a Token."""

    refused: Token | None = None


@dataclass(frozen=True)
class Turn:
    """Wait until `endpoint` may be called, for the first time or `again`."""

    endpoint: str
    again: bool = False


@dataclass(frozen=True)
class Send:
    """Send the request. The answer is a Reply, or the ExchangeError that says why there is none."""

    question: Question[Any]
    token: Token | None


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds; and let all others wait who would call the `crowded` endpoint."""

    seconds: float
    crowded: str | None = None


@dataclass(frozen=True)
class Reply:
    """What came back; its body may hold a token, so it is shown nowhere."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Step: TypeAlias = Sign | Turn | Send | Pause
Steps: TypeAlias = Generator[Step, Any, Answer]
Told: TypeAlias = Callable[[ExchangeError, float, int], None]
"""Is told of a failed try: the error, the pause before the next one, and that one's number."""


def conversation(question: Question[Answer], retry: Retry, told: Told) -> Steps[Answer]:
    """The steps of one call, to its answer or to the error that trying again has not mended."""
    token: Token | None = (yield Sign()) if question.private else None
    renewed, attempt = False, 1
    while True:
        yield Turn(question.endpoint, attempt > 1)
        outcome = yield from _tried(question, token)
        if not isinstance(outcome, ExchangeError):
            return outcome
        if token is not None and wants_a_new_token(outcome):
            if renewed:
                raise _not_taken(outcome)
            renewed, token = True, (yield Sign(token))
            continue
        pause = pause_after(outcome, attempt, retry) if question.safe else None
        if pause is None:
            raise as_final(outcome, question)
        attempt += 1
        told(outcome, pause, attempt)
        yield Pause(pause, question.endpoint if isinstance(outcome, RateLimited) else None)
        token = (yield Sign()) if question.private else None


def _tried(
    question: Question[Answer], token: Token | None
) -> Generator[Step, Any, Answer | ExchangeError]:
    reply: Reply | ExchangeError = yield Send(question, token)
    if isinstance(reply, ExchangeError):
        return reply
    secrets = (*question.secrets, *([token.secret] if token else []))
    error = error_in(reply.status, reply.headers, without(secrets, reply.body), question.path)
    if error is not None:
        return error
    try:
        return question.read(reply.body)
    except ExchangeError as unreadable:
        # Its frames hold the body, and that of a login holds a token.
        unreadable.__context__ = None
        return unreadable.with_traceback(None)


def _not_taken(error: ExchangeError) -> ExchangeError:
    """The second refusal in a row, with a token that was issued a moment before."""
    assert isinstance(error, Refused)
    advice = f"it does not take the token that it has just issued; {RIGHTS}"
    return LoginRefused(error.path, error.status, error.code, error.message, advice)
