"""A live stream made whole: sockets for speed, REST for what they missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import Final

from cq.exchanges.feed import (
    TRADES,
    Arrival,
    Batch,
    Connection,
    Feed,
    Missing,
    Opened,
)
from cq.ingest.arrivals import Arrivals, replayed
from cq.ingest.filling import Asking
from cq.ingest.workers import Workers
from cq.utils import clock as clocks
from cq.utils import log
from cq.utils.settings import Stream

__all__ = ["LiveFeed", "replayed"]

TICK_S: Final = 0.05
"""So often the stream looks at its stop event and at what is due."""

MOST_HELD: Final = 250_000
"""Trades that wait behind holes; with so many the sockets are not read on."""

ENOUGH: Final = 8192
"""Arrivals that are worth a batch at once."""

STEP_S: Final = 0.002

WORKERS: Final = 4
"""REST questions under way at once, however slow one of them is."""

OnArrivals = Callable[[Sequence[Arrival]], None]


class LiveFeed:
    """Streams `channels` of `symbols`, whatever the sockets do.

    `after` is the last trade id that is had already, by symbol: what came since is fetched. Without
    one, a market begins at the first trade that the socket brings and another one or REST confirms
    (or, where none comes for a while, after the newest one there is). `on_arrivals` is given
    everything that decides about the outcome, in its order, before the batches that follow from it:
    a recording. `gather_s` trades delay for work: arrivals of so many seconds make one batch.
    """

    def __init__(
        self,
        feed: Feed,
        market: Missing,
        symbols: Sequence[str],
        stream: Stream,
        *,
        channels: Iterable[str] = (TRADES,),
        after: Mapping[str, int] | None = None,
        on_arrivals: OnArrivals | None = None,
        gather_s: float = 0.0,
        clock: Callable[[], int] = clocks.now_ns,
    ) -> None:
        self.feed, self.market, self.symbols, self.stream = feed, market, tuple(symbols), stream
        self.channels = tuple(channels)
        self.on_arrivals, self.gather_s, self.clock = on_arrivals, gather_s, clock
        self.core = Arrivals(feed, symbols, after)

    @property
    def connected(self) -> bool:
        """Whether any socket was ever open."""
        return bool(self.core.opened)

    async def batches(self, stop: Event) -> AsyncIterator[Batch]:
        """What comes in, in columns, until `stop` is set; it ends soon after, whatever happens."""
        wake, loop = asyncio.Event(), asyncio.get_running_loop()
        workers = Workers[Arrival | None](WORKERS, loop)

        def later(delay_s: float) -> None:
            loop.call_later(delay_s, wake.set)

        asking = Asking(
            self.core, self.market, self.symbols, self.stream, workers, self.clock, wake.set, later
        )
        ticking = asyncio.create_task(_tick(wake))
        next_tick_s = 0.0
        try:
            async with self.feed.connection(self.symbols, self.channels, wake.set) as connection:
                while not stop.is_set():
                    await wake.wait()
                    wake.clear()
                    await self._gather(connection, stop)
                    batch = self._taken(connection, asking)
                    now_s = time.monotonic()
                    asking.look(now_s, tick=now_s >= next_tick_s)
                    if now_s >= next_tick_s:
                        next_tick_s = now_s + TICK_S
                    if _says(batch):
                        yield batch
                last = self._taken(connection, asking)
            if _says(last):
                yield last
        finally:
            workers.end()
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking

    async def _gather(self, connection: Connection, stop: Event) -> None:
        """Wait for more, where there is time for it."""
        until_s = time.monotonic() + self.gather_s
        while 0 < connection.waiting() < ENOUGH and not stop.is_set():
            if (left_s := until_s - time.monotonic()) <= 0:
                return
            await asyncio.sleep(min(left_s, STEP_S))

    def _taken(self, connection: Connection, asking: Asking) -> Batch:
        """What is known because of all that arrived."""
        arrivals: list[Arrival] = list(asking.taken())
        if self.core.held < MOST_HELD:
            arrivals += connection.take()
        batch = self.core.take(arrivals)
        if arrivals:
            asking.heard([one for one in arrivals if type(one) is Opened], time.monotonic())
            if self.on_arrivals is not None:
                self.on_arrivals(arrivals)
        silent, asking.silent = asking.silent, []
        for symbol in silent:
            connection.renew(TRADES, symbol)
        for session, notice in self.core.notices:
            _told(session, notice)
            if "message" in notice:
                asking.doubt()
        return batch


async def _tick(wake: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        wake.set()


def _says(batch: Batch) -> bool:
    """Whether there is anything in it."""
    return bool(
        len(batch.trades)
        or batch.seen_ns
        or len(batch.books)
        or len(batch.tickers)
        or batch.corrupt
        or batch.duplicates
        or batch.reconnects
        or batch.lost
    )


def _told(session: str, notice: Mapping[str, object]) -> None:
    """Log what the exchange says besides data: an acknowledgement, or an error without a name."""
    message = notice.get("message")
    if message is None:
        log.event("feed", "subscribed", level="DEBUG", session=session, **_named(notice))
    else:
        log.event("feed", "refused", level="WARNING", session=session, reason=str(message)[:200])


def _named(notice: Mapping[str, object]) -> dict[str, object]:
    return {"stream": f"{notice.get('name')} {notice.get('id')}"}
