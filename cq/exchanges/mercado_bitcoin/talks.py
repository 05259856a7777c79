"""Questions that follow from one another, held by either shell.

A talk is a generator: it yields a question, is sent the answer, and returns what came of it. So
the sync and the async client share every rule, and neither shell knows any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol, TypeAlias, TypeVar

from cq.errors import ExchangeError, NoSuchMarket, Refused
from cq.exchanges.mercado_bitcoin.errors import UNKNOWN_SYMBOL
from cq.exchanges.mercado_bitcoin.question import Answer, Question

Result = TypeVar("Result")

Talk: TypeAlias = Generator[Question[Any], Any, Result]


class Asks(Protocol):
    """A shell that waits for its answers."""

    def ask(self, question: Question[Answer]) -> Answer:
        """What `question.read` makes of the reply."""
        ...


class AsksLater(Protocol):
    """A shell whose answers are awaited."""

    async def ask(self, question: Question[Answer]) -> Answer:
        """What `question.read` makes of the reply."""
        ...


def just(question: Question[Answer]) -> Talk[Answer]:
    """A single question."""
    answer: Answer = yield question
    return answer


def hold(talk: Talk[Result], ask: Callable[[Question[Any]], Any]) -> Result:
    """Hold a talk to its end."""
    try:
        question = next(talk)
        while True:
            try:
                answer = ask(question)
            except ExchangeError as error:
                question = talk.throw(named(error, question))
            else:
                question = talk.send(answer)
    except StopIteration as end:
        result: Result = end.value
        return result


async def hold_later(talk: Talk[Result], ask: Callable[[Question[Any]], Awaitable[Any]]) -> Result:
    """Hold a talk to its end, other work going on meanwhile."""
    try:
        question = next(talk)
        while True:
            try:
                answer = await ask(question)
            except ExchangeError as error:
                question = talk.throw(named(error, question))
            else:
                question = talk.send(answer)
    except StopIteration as end:
        result: Result = end.value
        return result


def named(error: ExchangeError, question: Question[Any]) -> ExchangeError:
    """`error` itself, or that the exchange does not know the symbol asked about."""
    if (
        isinstance(error, Refused)
        and question.symbol is not None
        and error.code.rpartition("|")[2] in UNKNOWN_SYMBOL
    ):
        unknown = NoSuchMarket(question.symbol, error.path, error.status, error.code, error.message)
        unknown.request_id = error.request_id
        return unknown
    return error
