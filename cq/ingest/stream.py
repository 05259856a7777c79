"""A live stream into the lake, for as long as it is wanted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final, Protocol

import polars as pl

from cq.exchanges.feed import Batch, Hole
from cq.ingest.recording import Recorder
from cq.ingest.rolling import Landed, Load, Rolling
from cq.utils.time import SECOND

PATIENCE_S: Final = 10.0
"""Seconds that a stream which was told to end gets for it."""

LOOK_S: Final = 1.0
"""Seconds after which a stream without anything to do looks whether it was told to end."""


class Live(Protocol):
    """What is streamed (see cq.ingest.live_feed)."""

    def batches(self, stop: Event) -> AsyncIterator[Batch]:
        """What comes in, in columns, until `stop` is set."""
        ...


@dataclass
class Tally:
    """What a stream has brought so far, by symbol and in all."""

    trades: Counter[str] = field(default_factory=Counter)
    books: Counter[str] = field(default_factory=Counter)
    newest_ns: dict[str, int] = field(default_factory=dict)
    corrupt: int = 0
    duplicates: int = 0
    reconnects: int = 0
    filled: int = 0
    lost: list[Hole] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Count what a batch says of itself."""
        self.corrupt += batch.corrupt
        self.duplicates += batch.duplicates
        self.reconnects += batch.reconnects
        self.filled += batch.filled
        self.lost += batch.lost

    def count(self, load: Load) -> None:
        """Count the rows that go to the lake."""
        for counts, rows in ((self.trades, load.trades), (self.books, load.books)):
            if rows is not None:
                self._count(counts, rows)

    def _count(self, counts: Counter[str], rows: pl.DataFrame) -> None:
        by_symbol = rows.group_by("symbol").agg(pl.len(), pl.col("ts").max())
        for symbol, number, newest in by_symbol.iter_rows():
            counts[symbol] += number
            if newest is not None:
                self.newest_ns[symbol] = max(newest, self.newest_ns.get(symbol, 0))


@dataclass
class Streaming:
    """Batches of a live stream into a rolling writer.

    Rotations happen beside the stream, one at a time. Where the disk is slower than the market for
    long, the stream is not read on, and whoever sends has to wait: nothing is dropped.
    """

    live: Live
    rolling: Rolling
    clock: Callable[[], int]
    recorder: Recorder | None = None
    on_landed: Callable[[Landed, Tally], None] = lambda *_: None
    tally: Tally = field(default_factory=Tally)

    async def run(self, stop: Event) -> None:
        """Stream until `stop` is set or the stream ends; then land what is held and its coverage.

        An error of the lake ends it at once, without another write.
        """
        batches = self.live.batches(stop)
        coming: asyncio.Task[Batch] | None = None
        writing: asyncio.Task[None] | None = None
        told_ns: int | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(batches))
                await self._next(coming, writing)
                if writing is not None and writing.done():
                    writing = writing.result()
                if coming.done():
                    try:
                        self._take(coming.result())
                    except StopAsyncIteration:
                        break
                    coming = None
                if self.recorder is not None:
                    self.recorder.tick(self.clock())
                if self.rolling.due(self.clock()):
                    if writing is not None:
                        await writing
                    writing = asyncio.ensure_future(self._rotate(self._load()))
                if stop.is_set():
                    told_ns = told_ns or self.clock()
                    if self.clock() - told_ns > PATIENCE_S * SECOND:
                        break
            if writing is not None:
                await writing
            await self._rotate(self._load(), last=True)
            if self.recorder is not None:
                self.recorder.close(self.clock())
        finally:
            await self._end(coming, writing, batches)

    async def _next(self, coming: asyncio.Task[Batch], writing: asyncio.Task[None] | None) -> None:
        """Until a batch is there, a rotation is done, one is due, or a moment has passed."""
        left_s = max(0.0, (self.rolling.due_ns() - self.clock()) / SECOND)
        tasks: set[asyncio.Task[Any]] = {coming} if writing is None else {coming, writing}
        timeout = min(left_s, LOOK_S) if writing is None else LOOK_S
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    def _take(self, batch: Batch) -> None:
        self.tally.add(batch)
        self.rolling.add(batch)

    def _load(self) -> Load:
        load = self.rolling.take(self.clock())
        self.tally.count(load)
        return load

    async def _rotate(self, load: Load, *, last: bool = False) -> None:
        landed = await asyncio.to_thread(self.rolling.write, load, self.clock(), last=last)
        self.on_landed(landed, self.tally)

    async def _end(
        self,
        coming: asyncio.Task[Batch] | None,
        writing: asyncio.Task[None] | None,
        batches: AsyncIterator[Batch],
    ) -> None:
        """Leave no task and no socket behind."""
        if writing is not None and not writing.done():
            with suppress(Exception):
                await asyncio.wait_for(asyncio.shield(writing), PATIENCE_S)
        if coming is not None and not coming.done():
            coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                await coming
        close = getattr(batches, "aclose", None)
        if close is not None:
            await close()
