import asyncio

import pytest
from key_exchange import KeyExchange

from cq.exchanges.mercado_bitcoin import AsyncRest, Rest


@pytest.fixture
def locked():
    """A loopback exchange behind a login; see tests/key_exchange.py."""
    with KeyExchange() as one:
        yield one


class Either:
    """Asks through the blocking shell or through an event loop, so that a test says both."""

    def __init__(self, kind, exchange):
        self.kind, self.exchange, self.settings = kind, exchange, {}
        self.options, self.slept = {"credentials": exchange.key()}, []

    def ask(self, *questions):
        """The answers to `questions`, asked one after the other by one client."""
        settings = self.exchange.ingestion(**self.settings)
        if self.kind == "threads":
            with Rest(settings, sleep=self.slept.append, **self.options) as rest:
                self.rest = rest
                return [rest.ask(one) for one in questions]
        return asyncio.run(self._ask_later(settings, questions))

    async def _ask_later(self, settings, questions):
        async def sleep(seconds):
            self.slept.append(seconds)

        async with AsyncRest(settings, sleep=sleep, **self.options) as rest:
            self.rest = rest
            return [await rest.ask(one) for one in questions]


@pytest.fixture(params=["threads", "event loop"])
def either(request, locked):
    return Either(request.param, locked)
