"""Threads for questions that block, beside an event loop that must not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Generic, TypeVar

from cq.errors import CqError

Answer = TypeVar("Answer")


class Stopped(CqError):
    """Told to stop while waiting for the exchange."""


def pausing(stop: Event) -> Callable[[float], None]:
    """Sleeps between requests, but no longer than until it is told to stop: Stopped then."""

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped("stopped")

    return pause


class Workers(Generic[Answer]):
    """`count` threads that call what they are given; answers and errors come back in the loop.

    They end with the process at the latest: a question under way is not waited for.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(count)]
        for one in self._threads:
            one.start()

    def ask(
        self, question: Callable[[], Answer], then: Callable[[Answer | Exception], None]
    ) -> None:
        """Call `question` in a thread, and `then` in the loop with what came of it."""

        def work() -> None:
            try:
                answer: Answer | Exception = question()
            except Exception as failed:
                answer = failed
            with suppress(RuntimeError):  # the loop is gone, and with it whoever asked
                self._loop.call_soon_threadsafe(then, answer)

        self._work.put(work)

    def end(self) -> None:
        """Take no more questions."""
        for _ in self._threads:
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
