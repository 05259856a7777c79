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

from cq.errors import DataError
from cq.exchanges.feed import Batch, Hole
from cq.ingest.recording import Recorder
from cq.ingest.rolling import Landed, Load, Rolling
from cq.ingest.tidying import Tidying
from cq.utils.time import SECOND, is_over

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
    long, the stream is not read on, and whoever sends has to wait: nothing is dropped. Tidying goes
    on beside both.
    """

    live: Live
    rolling: Rolling
    clock: Callable[[], int]
    recorder: Recorder | None = None
    tidying: Tidying | None = None
    on_landed: Callable[[Landed, Tally], None] = lambda *_: None
    tally: Tally = field(default_factory=Tally)
    _coming: asyncio.Task[Batch] | None = field(default=None, init=False)
    _writing: asyncio.Task[None] | None = field(default=None, init=False)
    _merging: asyncio.Task[int] | None = field(default=None, init=False)

    async def run(self, stop: Event) -> None:
        """Stream until `stop` is set or the stream ends; then land what is held and its coverage.

        So does an error of the exchange's, before it goes on. One of the lake or the recorder ends
        it at once, without another write.
        """
        batches = self.live.batches(stop)
        try:
            try:
                await self._follow(batches, stop)
            except DataError:
                raise
            except Exception:
                await self._finish()
                raise
            await self._finish()
        finally:
            await self._end(batches)

    async def _follow(self, batches: AsyncIterator[Batch], stop: Event) -> None:
        """Take what comes, and write it when it is time."""
        told_ns: int | None = None
        while True:
            self._coming = self._coming or asyncio.ensure_future(anext(batches))
            await self._next(self._coming, self._writing)
            if self._writing is not None and self._writing.done():
                self._writing = self._writing.result()
            if self._coming.done():
                coming, self._coming = self._coming, None
                try:
                    self._take(coming.result())
                except StopAsyncIteration:
                    return
            if self.recorder is not None:
                self.recorder.tick(self.clock())
            if self.rolling.due(self.clock()):
                if self._writing is not None:
                    await self._writing
                self._writing = asyncio.ensure_future(self._rotate(self._load()))
            self._tidy()
            if stop.is_set():
                told_ns = told_ns or self.clock()
                if is_over(told_ns, round(PATIENCE_S * SECOND), self.clock()):
                    return

    def _tidy(self) -> None:
        """Begin to merge small files where it is time, and it is not being done."""
        if self._merging is not None and self._merging.done():
            self._merging.result()
            self._merging = None
        if self._merging is None and self.tidying is not None and self.tidying.due(self.clock()):
            work = asyncio.to_thread(self.tidying.run, self.clock())
            self._merging = asyncio.ensure_future(work)

    async def _finish(self) -> None:
        """Land what is held, after what is being written."""
        if self._writing is not None:
            await self._writing
        await self._rotate(self._load(), last=True)

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

    async def _end(self, batches: AsyncIterator[Batch]) -> None:
        """Leave no task, no socket and no open file behind."""
        writing, coming = self._writing, self._coming
        if self.tidying is not None:
            self.tidying.stopping.set()
        try:
            for one in (writing, self._merging):
                if one is not None:
                    with suppress(Exception):
                        await asyncio.wait_for(asyncio.shield(one), PATIENCE_S)
            if coming is not None:
                coming.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                    await coming  # one that has failed too: nobody else asks it for its error
            close = getattr(batches, "aclose", None)
            if close is not None:
                await close()
        finally:
            if self.recorder is not None:
                self.recorder.close(self.clock())
