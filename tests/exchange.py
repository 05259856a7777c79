"""A loopback exchange that answers like the recorded replies, with faults on demand."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from trade_market import Market

from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
from cq.utils.settings import Ingestion
from cq.utils.time import SECOND, bar_end

Bar = tuple[str, str, str, str, str]
"""open, high, low, close, volume as the wire writes them."""

RESOLUTIONS = ("1m", "15m", "1h", "3h", "1d", "1w", "1M")


def bar(number: int) -> Bar:
    """A bar that is its own for every number, with the wire's 8 decimals."""
    low = 100 + number * 7 % 1000
    values = (low + 1.5, low + 4.25, low, low + 3.00000001, 0.125 + number % 10)
    return tuple(f"{value:.8f}" for value in values)  # type: ignore[return-value]


def bars(start_ns: int, step_ns: int, numbers: Iterable[int]) -> dict[int, Bar]:
    """Opening time (ns) → bar, for the buckets that had a trade."""
    return {start_ns + number * step_ns: bar(number) for number in numbers}


@dataclass(frozen=True)
class Fault:
    """One reply that goes wrong: a status with a body, or no whole reply at all."""

    status: int = 500
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["answer", "drop", "half", "silent", "drip"] = "answer"


class Server(ThreadingHTTPServer):
    """A client that dies in the middle is no news here."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Exchange:
    """`with Exchange() as one:` listens on `one.url`; `markets[symbol, interval]` are its bars."""

    clock: Callable[[], int] = time.time_ns
    markets: dict[tuple[str, str], dict[int, Bar]] = field(default_factory=dict)
    trades: dict[str, Market] = field(default_factory=dict)
    replies: dict[str, Any] = field(default_factory=dict)
    """Path below `/api/v4` → body, for whatever else is asked for."""
    paths: list[str] = field(default_factory=list)
    cap: int | None = None
    keep: Literal["newest", "oldest"] = "newest"
    shuffled: bool = False
    ignores_from: bool = False
    faults: deque[Fault] = field(default_factory=deque)
    asked: list[dict[str, str]] = field(default_factory=list)
    peers: set[Any] = field(default_factory=set)
    headers: dict[str, str] = field(default_factory=dict)
    on_request: Callable[[dict[str, str]], None] | None = None
    clients: list[MercadoBitcoin] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.closing = Event()
        self.server = Server(("127.0.0.1", 0), _handler(self))
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/api/v4"

    def ingestion(self, **changes: Any) -> Ingestion:
        """Settings that lead here: quick limits and no waiting between tries."""
        values = {
            "rest_base_url": self.url,
            "ws_url": "wss://unused.example/ws",
            "timeout_seconds": 5,
            "page_bars": 1000,
            "rate_limits": {"requests_per_minute": 6e7, "requests_per_second": 1e6},
            "retry": {
                "max_tries": 3,
                "backoff_base_ms": 0,
                "backoff_cap_ms": 0,
                "backoff_jitter_ms": 0,
            },
        }
        return Ingestion.model_validate(values | changes)

    def market(self, **changes: Any) -> MercadoBitcoin:
        """A client of this exchange that shares its clock."""
        client = MercadoBitcoin(Rest(self.ingestion(**changes), clock=lambda: self.clock()))
        self.clients.append(client)
        return client

    def forget(self) -> None:
        """Close every client and be as new, but for the port."""
        for client in self.clients:
            client.close()
        self.markets, self.clients, self.asked, self.faults = {}, [], [], deque()
        self.trades, self.replies, self.paths = {}, {}, []
        self.cap, self.keep, self.shuffled, self.on_request = None, "newest", False, None

    def closed(self, symbol: str, interval: str, now_ns: int | None = None) -> dict[int, Bar]:
        """The bars that have closed by the exchange's clock."""
        now = self.clock() if now_ns is None else now_ns
        known = self.markets[symbol, interval]
        return {ts: known[ts] for ts in sorted(known) if bar_end(ts, interval) <= now}

    def candles(self, query: Mapping[str, str]) -> tuple[int, Any]:
        """Status and body for one request, as API.md section 5.5 describes them."""
        symbol, interval = query.get("symbol", ""), query.get("resolution", "")
        if interval not in RESOLUTIONS:
            return 400, _said("RESOLUTION_IS_INVALID", "The param {resolution} must be one of …")
        if not re.fullmatch(r"[A-Z0-9]+-[A-Z0-9]+", symbol) or not self._lists(symbol):
            return 400, _said("SYMBOL_IS_INVALID", "The param {symbol} is invalid")
        first, last = int(query.get("from", "0")), int(query["to"])
        first = 0 if self.ignores_from else first
        if last < 0:
            return 400, _said("TO_IS_INVALID", "The param {to} must not be a valid Unix timestamp")
        now, known = self.clock(), self.markets.get((symbol, interval), {})
        found = [
            (ts // SECOND, *(known[ts] if bar_end(ts, interval) <= now else _so_far(known[ts])))
            for ts in sorted(known)
            if first <= ts // SECOND <= last and ts <= now
        ]
        if self.cap is not None:
            found = found[-self.cap :] if self.keep == "newest" else found[: self.cap]
        if self.shuffled:
            found = found[1::2] + found[::2]
        columns = list(zip(*found, strict=True)) or [()] * 6
        return 200, {name: list(one) for name, one in zip("tohlcv", columns, strict=True)}

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Status and body for one request, by its path below `/api/v4`."""
        if path == "/candles":
            return self.candles(query)
        symbol, _, name = path[1:].partition("/")
        if name == "trades" and symbol in self.trades:
            return 200, self.trades[symbol].reply(query)
        if path in self.replies:
            return 200, self.replies[path]
        if name in ("trades", "orderbook"):
            said = "This BASE-QUOTE is invalid or not found"
            return 400, {"code": "PUBLIC_DATA|GET_ORDERBOOK|INVALID_BASE_QUOTE", "message": said}
        return 404, {"code": "API|ROUTE_NOT_FOUND", "message": "This route not found"}

    def _lists(self, symbol: str) -> bool:
        return any(symbol == one for one, _ in self.markets)


def _so_far(whole: Bar) -> Bar:
    """What a bar looks like while it is in progress: only its open is final."""
    return (whole[0], whole[0], whole[0], whole[0], "0.00000001")


def _said(error: str, message: str) -> dict[str, str]:
    return {"code": f"PUBLIC_DATA|LIST_CANDLES|{error}", "message": message}


def _handler(exchange: Exchange) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = dict(parse_qsl(asked.query))
            exchange.asked.append(query)
            exchange.paths.append(asked.path.removeprefix("/api/v4"))
            exchange.peers.add(self.client_address)
            exchange.headers = dict(self.headers)
            if exchange.on_request is not None:
                exchange.on_request(query)
            if exchange.faults:
                self.fail(exchange.faults.popleft())
            else:
                status, body = exchange.answer(asked.path.removeprefix("/api/v4"), query)
                self.say(status, json.dumps(body))

        def say(self, status: int, body: str, headers: Mapping[str, str] | None = None) -> None:
            content = body.encode()
            self.send_response(status)
            for name, value in (headers or {"Content-Type": "application/json"}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def fail(self, fault: Fault) -> None:
            if fault.kind == "answer":
                self.say(fault.status, fault.body, fault.headers)
                return
            if fault.kind == "silent":
                exchange.closing.wait(30)
            if fault.kind in ("half", "drip"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"t":[17')
                self.wfile.flush()
            if fault.kind == "drip":
                self.drip()
            self.close_connection = True

        def drip(self) -> None:
            with suppress(OSError):
                while not exchange.closing.wait(0.05):
                    self.wfile.write(b" ")
                    self.wfile.flush()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(exchange.clock() // SECOND, usegmt=True)

        def log_message(self, *_: object) -> None:
            """Tests print what they need themselves."""

    return Handler
