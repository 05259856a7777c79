"""The WebSocket side: subscriptions, what is sent on them, and how sockets end."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from aiohttp import WSMsgType, web

from cq.sim import frames
from cq.sim.answers import html
from cq.sim.arrays import TradeArrays
from cq.sim.leaving import Leaving
from cq.sim.listing import Listing
from cq.sim.plan import SOCKET, Manner, Rule
from cq.sim.public import ticker
from cq.sim.simulation import Simulation
from cq.sim.subscriptions import Subscriptions, book_state
from cq.utils.time import MICROSECOND

TICK_S: Final = 0.01
BATCH: Final = 8_000
"""Most trades of one symbol that are put together at once: what bounds memory."""


@dataclass
class Hub:
    """All sockets of the exchange."""

    sim: Simulation
    open: set[Socket] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One socket, from its handshake to its end."""
        sim = self.sim
        if sim.faults.refuses_sockets():
            sim.faults.count["refuse_sockets"] += 1
            return html(503, "Service temporarily unavailable")
        most = sim.switches.ws_max_connections
        if most is not None and len(self.open) >= most:
            return html(429, "Too many connections")
        ws = web.WebSocketResponse(autoping=True, timeout=0.5, max_msg_size=1 << 20)
        if not ws.can_prepare(request).ok:
            return html(400, "Bad request")
        await ws.prepare(request)
        sim.status.sockets_opened += 1
        socket = Socket(sim, request, ws, sim.status.sockets_opened)
        self.open.add(socket)
        sim.status.sockets_open = len(self.open)
        try:
            await socket.live()
        finally:
            self.open.discard(socket)
            sim.status.sockets_open = len(self.open)
        return ws

    async def close(self, _: web.Application) -> None:
        """Drop every socket, as a server that goes away does."""
        for socket in list(self.open):
            socket.drop()


class Socket:
    """One client's socket.

    What it has been sent is one number a symbol, so nothing queues up for a slow client: it is
    simply told later.
    """

    def __init__(
        self, sim: Simulation, request: web.Request, ws: web.WebSocketResponse, number: int
    ) -> None:
        self.sim, self.request, self.ws, self.number = sim, request, ws, number
        self.wishes = Subscriptions(sim.tape, one_book_limit=sim.switches.ws_one_book_limit)
        self.late_ns = number * 41 * MICROSECOND % 400_000
        self.opened_s = self.traffic_s = self.now_s()
        self.silent_until_s: dict[str, float] = {}
        self.half_open, self.leaving = False, Leaving()
        self.ended = asyncio.Event()

    def now_s(self) -> float:
        """Real seconds, by which sockets live."""
        return asyncio.get_running_loop().time()

    def drop(self) -> None:
        """End without a word: the client sees code 1006."""
        self.ended.set()
        if self.request.transport is not None:
            self.request.transport.abort()

    async def live(self) -> None:
        """Read and send until either side ends it."""
        tasks = [asyncio.ensure_future(one) for one in (self._read(), self._send())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
        for one in found:
            if isinstance(one, Exception) and not isinstance(one, (ConnectionError, OSError)):
                raise one

    # what clients say

    async def _read(self) -> None:
        async for message in self.ws:
            if self.half_open:
                await self._gone()
                return
            self.traffic_s = self.now_s()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                reply = self.wishes.told(message.data, self.sim.now_ns())
                if reply is not None:
                    await self.ws.send_str(json.dumps(reply, separators=(",", ":")))

    # what clients are told

    async def _send(self) -> None:
        while not self.ended.is_set():
            more = await self._turn()
            self._end_of_life()
            if not more:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.ended.wait(), TICK_S)
        if self.half_open:
            await self._gone()

    async def _gone(self) -> None:
        """Wait until the client has noticed that nobody is there."""
        while self.request.transport is not None and not self.request.transport.is_closing():
            await asyncio.sleep(TICK_S)

    def _end_of_life(self) -> None:
        switches, now_s = self.sim.switches, self.now_s()
        life = switches.ws_max_life_s
        idle = now_s - self.traffic_s > switches.ws_idle_s
        if idle or (life is not None and now_s - self.opened_s > life):
            self.drop()
        elif (rule := self.sim.faults.strikes_idle(self.wishes.symbols)) is not None:
            self._strike(rule)

    async def _turn(self) -> bool:
        """Send what has happened since the last turn; True where there is more already."""
        found, more = self._news()
        if found is None:
            return False
        texts, ends = self._struck(found)
        if len(texts):
            self.sim.status.frames["sent"] += len(texts)
            self.traffic_s = self.now_s()
            await self._write(frames.packed(texts))
        if ends is not None:
            self._strike(ends)
        return more

    async def _write(self, blob: bytes) -> None:
        """Whole frames straight to the transport, then wait until the client has room again."""
        transport = self.request.transport
        if transport is None or transport.is_closing():
            self.ended.set()
            return
        transport.write(blob)
        await self.request.writer.drain()

    def _news(self) -> tuple[pl.DataFrame | None, bool]:
        """Frames since the last turn in columns symbol, ts, text, by time; and whether more waits.

        Where one symbol has more than a batch, the others are cut at the same moment, so that
        frames leave in the order of time.
        """
        now, tape = self.sim.now_ns(), self.sim.tape
        parts: list[tuple[Listing, TradeArrays]] = []
        horizon = now
        for symbol, last in self.wishes.trades.items():
            trades = tape.trades_by_id(symbol, last + 1, last + BATCH, now)
            if len(trades) == BATCH:
                horizon = min(horizon, int(trades.ts[-1]))
            parts.append((tape.listings[symbol], trades))
        texts = []
        for listing, trades in parts:
            upto = trades.between(0, horizon + 1)
            if len(upto):
                self.wishes.trades[listing.symbol] = int(upto.tid[-1])
                self.sim.status.frames["trade"] += len(upto)
                frame = frames.trade_texts(listing, upto, self.late_ns)
                texts.append(frame.with_columns(symbol=pl.lit(listing.symbol)))
        more = horizon < now
        if not more:
            texts += self._snapshots(now)
        if not texts:
            return None, more
        return pl.concat(texts).sort("ts", maintain_order=True), more

    def _snapshots(self, now: int) -> list[pl.DataFrame]:
        """Books and tickers that have changed; at a fast clock only the newest of each."""
        tape, skew = self.sim.tape, self.sim.told_ns() - self.sim.now_ns()
        rows: list[tuple[str, str]] = []
        for symbol, before in self.wishes.books.items():
            state = book_state(tape, symbol, now)
            if state != before and state[0]:
                self.wishes.books[symbol] = state
                listing = tape.listings[symbol]
                limit = self.wishes.limit(symbol)
                book = tape.book_arrays(symbol, now, limit)
                sent = now + skew + frames.DELAY_NS + self.late_ns
                rows.append((symbol, frames.book_text(listing, book, limit, sent, now + skew)))
        for symbol, last in self.wishes.tickers.items():
            if (newest := tape.last_tid(symbol, now)) != last:
                self.wishes.tickers[symbol] = newest
                data, sent = ticker(self.sim, symbol, now, skew), now + skew + self.late_ns
                rows.append((symbol, frames.ticker_text(tape.listings[symbol], data, sent)))
        if not rows:
            return []
        symbols, texts = zip(*rows, strict=True)
        self.sim.status.frames["book and ticker"] += len(rows)
        return [
            pl.DataFrame({"ts": [now] * len(rows), "text": texts, "symbol": symbols}).with_columns(
                pl.col("ts").cast(pl.Int64)
            )
        ]

    # what goes wrong

    def _struck(self, found: pl.DataFrame) -> tuple[pl.Series, Rule | None]:
        """The texts that are really sent, after silence and faults."""
        faults, now_s = self.sim.faults, self.now_s()
        names = found["symbol"].unique(maintain_order=True).to_list()
        quiet = [
            name
            for name in names
            if faults.is_out(SOCKET, name)
            or max(self.silent_until_s.get(name, 0), self.silent_until_s.get("", 0)) > now_s
        ]
        if quiet:
            before = len(found)
            found = found.filter(~pl.col("symbol").is_in(quiet))
            faults.count["frames not sent"] += before - len(found)
        which = found["symbol"].replace_strict(
            names, list(range(len(names))), return_dtype=pl.Int64
        )
        strokes = faults.on_frames(names, which.to_numpy())
        texts = found["text"]
        if strokes is None:
            return texts, None
        for kind in ("lost", "duplicate", "reorder", "corrupt"):
            if struck := len(getattr(strokes, kind)):
                faults.count[kind] += struck
        texts = self._mangled(texts, strokes.corrupt)
        return self.leaving.of(texts, strokes), strokes.ends

    def _mangled(self, texts: pl.Series, struck: dict[int, Manner]) -> pl.Series:
        if not struck:
            return texts
        places = sorted(struck)
        mangled = self.sim.faults.mangled
        bad = [mangled(texts[place], struck[place]) for place in places]
        return texts.scatter(np.asarray(places), bad)

    def _strike(self, rule: Rule) -> None:
        """A fault of the whole socket."""
        self.sim.faults.count[rule.kind] += 1
        if rule.kind == "silent":
            until = self.now_s() + (float("inf") if rule.lasts is None else rule.lasts)
            for symbol in rule.symbols or ("",):
                self.silent_until_s[symbol] = until
        elif rule.kind == "half_open":
            self.half_open = True
            self.ended.set()
        else:
            self.drop()
