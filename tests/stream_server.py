"""A loopback market: trades over a WebSocket with every fault on demand, and REST for what it lost.

It is driven from outside: `trade()` makes the next trade, `send()` says something to everybody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Self

import polars as pl
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from cq.errors import TradesMissing, Unreachable
from cq.lake.datasets import TRADES
from cq.utils.settings import Ingestion
from cq.utils.time import SECOND

BEGIN = 1_766_612_000
"""The second of the first trade."""


def trade_frame(tid: int, symbol: str = "BTC-BRL", **changes: Any) -> bytes:
    """The frame of a trade that is its own for every id."""
    price, size, side = values(tid)
    base, quote = symbol.split("-")
    data = {"tid": tid, "date": second(tid), "type": side, "price": price, "amount": size} | changes
    frame = {"type": "trade", "id": quote + base, "ts": second(tid) * SECOND + tid % 1000,
             "data": data}  # fmt: skip
    return json.dumps(frame, separators=(",", ":")).encode()


def values(tid: int) -> tuple[float, float, str]:
    return 485685 + tid % 97 / 4, 0.00016287 + tid % 13, "buy" if tid % 3 else "sell"


def second(tid: int) -> int:
    return BEGIN + tid // 10


def lake_rows(ids: Iterable[int], symbol: str = "BTC-BRL") -> pl.DataFrame:
    """The same trades as the lake has them, as REST gives them."""
    rows = [(second(tid) * SECOND, *values(tid), str(tid), symbol, "mercadobitcoin") for tid in ids]
    return pl.DataFrame(rows, schema=TRADES.schema, orient="row")


@dataclass
class Market:
    """REST of trades 1 … `newest` by symbol; `missing` are ids that it denies."""

    newest: dict[str, int] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    fails: int = 0
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    now_ns: Callable[[], int] = lambda: (BEGIN + 10**6) * SECOND

    def missing_trades(self, symbol: str, first_id: int, last_id: int) -> pl.DataFrame:
        self.asked.append((symbol, first_id, last_id))
        self._fail()
        ids = range(first_id, min(last_id, self.newest.get(symbol, 0)) + 1)
        found = lake_rows([tid for tid in ids if tid not in self.missing], symbol)
        if len(found) < last_id - first_id + 1:
            raise TradesMissing(symbol, [(first_id, last_id)], found)
        return found

    def trades_after(self, symbol: str, trade_id: int) -> pl.DataFrame:
        self.looked.append(symbol)
        self._fail()
        last = min(trade_id + 1000, self.newest.get(symbol, 0))
        return lake_rows(range(trade_id + 1, last + 1), symbol)

    def newest_trades(self, symbol: str) -> pl.DataFrame:
        self.looked.append(symbol)
        last = self.newest.get(symbol, 0)
        ids = range(max(1, last - 999), last + 1)
        return lake_rows([tid for tid in ids if tid not in self.missing], symbol)

    def book(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        level = [{"price": 100.0, "size": 1.0}]
        ask = [{"price": 101.0, "size": 1.0}]
        schema = {
            "ts": pl.Int64,
            "bids": pl.List(pl.Struct({"price": pl.Float64, "size": pl.Float64})),
        }
        rows = {"ts": [BEGIN * SECOND], "bids": [level], "asks": [ask], "symbol": [symbol],
                "exchange": ["mercadobitcoin"]}  # fmt: skip
        return pl.DataFrame(rows, schema_overrides=schema)

    def time_ns(self, now_ns: int) -> int:
        return self.now_ns()

    def _fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise Unreachable("http://127.0.0.1", "on demand")


Script = Callable[[ServerConnection, "StreamServer"], Awaitable[None]]


@dataclass
class StreamServer:
    """`with StreamServer(script) as one:` runs `script` for each connection on `one.url`.

    A test says in `taken` how much the client has, a script in `sender` which socket it uses.
    """

    script: Script
    opened: int = 0
    taken: int = 0
    sender: ServerConnection | None = None
    heard: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.ready = Event()
        self.thread = Thread(target=lambda: asyncio.run(self._serve()))
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def ingestion(self, **stream: Any) -> Ingestion:
        """Settings that lead here, quick to connect again."""
        quick = {"backoff": {"base_ms": 2, "cap_ms": 10, "jitter": 0.2}, "reorder_ms": 20}
        return Ingestion.model_validate(
            {
                "rest_base_url": "http://127.0.0.1:1",
                "ws_url": self.url,
                "timeout_seconds": 5,
                "page_bars": 1000,
                "rate_limits": {"requests_per_minute": 6e7, "requests_per_second": 1e6},
                "retry": {"max_tries": 1, "backoff_base_ms": 0, "backoff_cap_ms": 0,
                          "backoff_jitter_ms": 0},
                "stream": quick | stream,
            }
        )  # fmt: skip

    async def _serve(self) -> None:
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()

        async def handle(socket: ServerConnection) -> None:
            self.opened += 1
            with suppress(ConnectionClosed):
                await self.script(socket, self)

        async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self.ready.set()
            await self.over.wait()
            for socket in server.connections:
                socket.transport.abort()


async def until(condition: Callable[[], object], deadline_s: float = 40) -> None:
    """Wait for what another thread or task brings about."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.001)


async def subscriptions(socket: ServerConnection, server: StreamServer, count: int) -> None:
    """Take so many subscriptions and acknowledge them."""
    while count:
        said = json.loads(await socket.recv())
        server.heard.append(said)
        if said["type"] == "subscribe":
            await socket.send(json.dumps(said["subscription"]))
            count -= 1
        elif said["type"] == "ping":
            await socket.send('{"type":"pong"}')


async def answer(socket: ServerConnection, server: StreamServer) -> None:
    """Acknowledge and pong for as long as the connection lives."""
    async for text in socket:
        said = json.loads(text)
        server.heard.append(said)
        if said["type"] == "ping":
            await socket.send('{"type":"pong"}')
        elif said["type"] == "subscribe":
            await socket.send(json.dumps(said["subscription"]))
