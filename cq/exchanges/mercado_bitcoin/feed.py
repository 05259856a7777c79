"""The shell around the sockets: it connects, again and again, and hands on what arrives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Final, Self
from uuid import uuid4

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidURI, WebSocketException

from cq.errors import ConfigError
from cq.exchanges.feed import Closed, Decoded, Frame, Opened
from cq.exchanges.mercado_bitcoin.backoff import Backoff
from cq.exchanges.mercado_bitcoin.frames import FrameReader
from cq.exchanges.mercado_bitcoin.protocol import Conversation, Subscription, sockets
from cq.exchanges.mercado_bitcoin.session import CLOSING_S, LARGEST, Session
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE, to_wire
from cq.exchanges.mercado_bitcoin.transport import HEADERS
from cq.utils import clock as clocks
from cq.utils import log
from cq.utils.settings import Ingestion

MOST_FRAMES: Final = 32_768
"""Frames that wait to be taken; with so many the sockets are not read on."""


class MercadoBitcoinFeed:
    """Streams of trades, books and tickers; a `cq.exchanges.feed.Feed`."""

    name = EXCHANGE

    def __init__(
        self,
        ingestion: Ingestion,
        *,
        depth: int | None = None,
        clock: Callable[[], int] = clocks.now_ns,
    ) -> None:
        self.ingestion, self.clock = ingestion, clock
        self.depth = ingestion.stream.book_depth if depth is None else depth
        self._reader = FrameReader()

    def read(self, frames: Sequence[Frame]) -> Decoded:
        """The frames in columns; one that is corrupt costs only itself."""
        return self._reader.read(frames)

    def connection(
        self, symbols: Sequence[str], channels: Sequence[str], wake: Callable[[], None]
    ) -> Sockets:
        """A stream of `channels` of `symbols`; `wake` tells of arrivals."""
        self._reader.symbols = {to_wire(one): one for one in symbols}
        return Sockets(self, sockets(symbols, channels, self.depth), wake)


class Sockets:
    """The sockets of a stream, and what has arrived on them."""

    def __init__(
        self,
        feed: MercadoBitcoinFeed,
        subscriptions: Sequence[Sequence[Subscription]],
        wake: Callable[[], None],
    ) -> None:
        self.clock, self.wake = feed.clock, wake
        self._arrived: list[Frame | Opened | Closed] = []
        self._paused: set[Session] = set()
        self._channels = {
            some[0].channel: Channel(feed.ingestion, some, self) for some in subscriptions
        }
        self._tasks: list[asyncio.Task[None]] = []

    def take(self) -> list[Frame | Opened | Closed]:
        """What has arrived since the last time."""
        for one in self._tasks:
            if one.done() and not one.cancelled():
                one.result()
        taken, self._arrived = self._arrived, []
        paused, self._paused = self._paused, set()
        for session in paused:
            session.go_on()
        return taken

    def waiting(self) -> int:
        """How much there is to take."""
        return len(self._arrived)

    def renew(self, channel: str, symbol: str) -> None:
        """Subscribe again to what has gone silent."""
        self._channels[channel].renewals.append(symbol)
        self._channels[channel].stir.set()

    def put(self, arrivals: Sequence[Frame | Opened | Closed], session: Session | None) -> None:
        """Keep what arrived; a session that brings too much is not read on."""
        self._arrived += arrivals
        if session is not None and len(self._arrived) >= MOST_FRAMES:
            self._paused.add(session)
            session.wait()
        self.wake()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(one.run()) for one in self._channels.values()]
        for one in self._tasks:
            one.add_done_callback(lambda _: self.wake())
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self._tasks:
            one.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Channel:
    """One socket after the other with the same subscriptions."""

    def __init__(
        self, ingestion: Ingestion, subscriptions: Sequence[Subscription], owner: Sockets
    ) -> None:
        self.ingestion, self.subscriptions, self.owner = ingestion, subscriptions, owner
        self.name = subscriptions[0].channel
        self.renewals: list[str] = []
        self.stir = asyncio.Event()
        retry = ingestion.stream.backoff
        self.backoff = Backoff(retry.base_ms / 1000, retry.cap_ms / 1000, retry.jitter)

    async def run(self) -> None:
        """Connect for ever; only a URL that is none ends it."""
        while True:
            reason = await self._one()
            delay_s = self.backoff.delay_s()
            sentence = f"{self.name}: {reason}, connecting again in {delay_s:.1f} s"
            self._log("disconnected", "WARNING", status=log.RETRY, reason=reason, sentence=sentence)
            await asyncio.sleep(delay_s)

    async def _one(self) -> str:
        """One connection to its end; why it ended."""
        stream, name = self.ingestion.stream, uuid4().hex[:8]
        talk = Conversation(self.subscriptions, stream.ping_seconds, stream.stale_seconds)
        try:
            session = await self._connected(talk, name)
        except InvalidURI as wrong:
            raise ConfigError("ingestion.ws_url", str(wrong)) from None
        except (OSError, TimeoutError, WebSocketException) as failed:
            return f"no connection ({failed or type(failed).__name__})"
        reason = "stopped"
        try:
            reason = await self._talked(session, talk, name)
        finally:
            self.owner.put([Closed(self.owner.clock(), name, self.name, reason)], None)
            await session.ended()
        return reason

    async def _connected(self, talk: Conversation, name: str) -> Session:
        def arrived(session: Session, messages: list[bytes]) -> None:
            talk.heard(time.monotonic(), messages)
            now_ns = self.owner.clock()
            self.owner.put(list(map(Frame, repeat(now_ns), messages, repeat(name))), session)

        def session(*args: Any, **kwargs: Any) -> Session:
            return Session(arrived, *args, **kwargs)

        url, timeout = self.ingestion.ws_url, self.ingestion.timeout_seconds
        return await connect(  # type: ignore[return-value]
            url,
            create_connection=session,  # type: ignore[arg-type]
            compression=None,
            user_agent_header=HEADERS["User-Agent"],
            open_timeout=timeout,
            close_timeout=CLOSING_S,
            ping_interval=None,
            max_size=LARGEST,
        )

    async def _talked(self, session: Session, talk: Conversation, name: str) -> str:
        """Subscribe, ping and listen until the connection ends; why it did."""
        ended = asyncio.ensure_future(session.wait_closed())
        stirred: asyncio.Future[Any] | None = None
        try:
            texts = talk.open(time.monotonic())
            self.owner.put([Opened(self.owner.clock(), name, self.name)], None)
            self._log("connected", "INFO", session=name)
            while not ended.done():
                await self._say(session, texts)
                stirred = stirred or asyncio.ensure_future(self.stir.wait())
                wait_s = max(0.001, talk.wait_s(time.monotonic()))
                await asyncio.wait((ended, stirred), timeout=wait_s, return_when="FIRST_COMPLETED")
                if stirred.done():
                    stirred = None
                    self.stir.clear()
                if talk.delivered:
                    self.backoff.reset()
                if session.is_waiting:
                    talk.heard(time.monotonic())
                if talk.is_stale(time.monotonic()):
                    return f"nothing, not even a pong, for {talk.stale_after_s:g} s"
                texts = talk.due(time.monotonic())
                renewed, self.renewals = self.renewals, []
                for symbol in renewed:
                    self._log("resubscribed", "WARNING", symbol=symbol, session=name)
                    texts += talk.renewed(symbol)
        except WebSocketException:
            pass
        except TimeoutError:
            return "it takes nothing any more"
        finally:
            if talk.delivered:
                self.backoff.reset()
            for one in (ended, stirred):
                if one is not None:
                    one.cancel()
        return f"closed with code {session.close_code or 1006}"

    async def _say(self, session: Session, texts: Sequence[str]) -> None:
        async with asyncio.timeout(self.ingestion.timeout_seconds):
            for text in texts:
                await session.send(text)

    def _log(self, action: str, level: str, **fields: object) -> None:
        log.event("feed", action, level=level, channel=self.name, **fields)
