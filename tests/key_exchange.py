"""A loopback exchange behind a login, whose tokens expire and whose routes fail on demand."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

from exchange import Fault, Server

from cq.utils.settings import Credentials, Ingestion
from cq.utils.time import SECOND

CLIENT_ID = "3f7c0a1e-key-id-of-nobody"
CLIENT_SECRET = "s3cret/of+nobody&=%"
ACCOUNT = "0123456789abcdef" * 4
GATEWAY_401 = {
    "error": {
        "code": 401,
        "status": "Unauthorized",
        "reason": "Access token is not active",
        "message": "Access credentials are invalid",
    }
}
NO_ROUTE = {"code": "API|ROUTE_NOT_FOUND", "message": "This route not found"}
NO_TOKEN = {"code": "API|FORBIDDEN", "message": "You need to be authenticated"}
WRONG_PAIR = {"code": "AUTHORIZE|AUTHORIZATION|FORBIDDEN", "message": "Invalid login or password"}
ANSWERS: dict[str, Any] = {
    "/accounts": [
        {"currency": "BRL", "currencySign": "R$", "id": ACCOUNT, "name": "main", "type": "NORMAL"}
    ],
    f"/accounts/{ACCOUNT}/balances": [
        {"available": "1.00000000", "on_hold": "0.50000000", "symbol": "BTC", "total": "1.5"}
    ],
    f"/accounts/{ACCOUNT}/BTC-BRL/fees": {
        "base": "BTC",
        "quote": "BRL",
        "maker_fee": "0.00300000",
        "taker_fee": "0.00700000",
    },
}


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass
class KeyExchange:
    """`with KeyExchange() as one:` listens on `one.url`; `one.answers[path]` are its replies."""

    logins: tuple[str, ...] = ("/oauth2/token", "/authorize")
    life_s: Any = 3599
    clock: Callable[[], int] = time.time_ns
    refusal: str = "401"
    answers: dict[str, Any] = field(default_factory=lambda: dict(ANSWERS))
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[Asked] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    gate: Event = field(default_factory=Event)

    def __enter__(self) -> Self:
        self.gate.set()
        self.lock = Lock()
        self.server = Server(("127.0.0.1", 0), _handler(self))
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/api/v4"

    def ingestion(self, **changes: Any) -> Ingestion:
        """Settings that lead here, with quick limits and no waiting between tries."""
        retry = {"backoff_base_ms": 0, "backoff_cap_ms": 0, "backoff_jitter_ms": 0}
        values = {
            "rest_base_url": self.url,
            "ws_url": "wss://unused.example/ws",
            "timeout_seconds": 5,
            "page_bars": 1000,
            "rate_limits": {"requests_per_minute": 6e7, "requests_per_second": 1e6},
            "retry": {"max_tries": 3} | retry,
        }
        return Ingestion.model_validate(values | changes)

    def key(self, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET) -> Credentials:
        """The key that opens it, or another one."""
        return Credentials.model_validate({"client_id": client_id, "client_secret": client_secret})

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [one.path for one in self.asked]

    def expire(self) -> None:
        """No token issued so far is good any more."""
        self.good.clear()

    def login(self, asked: Asked) -> tuple[int, Any]:
        """What the login says, as API.md section 6 describes it."""
        if asked.path == "/authorize":
            said = json.loads(asked.body)
            if (said["login"], said["password"]) != (CLIENT_ID, CLIENT_SECRET):
                return 400, WRONG_PAIR
            return 200, {"access_token": self.issue(), "expiration": self.end_s()}
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        pair = (form.get("client_id"), form.get("client_secret"))
        scheme, _, basic = asked.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            first, _, second = b64decode(basic).decode().partition(":")
            pair = (unquote_plus(first), unquote_plus(second))
        expected = {"grant_type": "client_credentials", "scope": "global"}
        if pair != (CLIENT_ID, CLIENT_SECRET) or not expected.items() <= form.items():
            return 401, GATEWAY_401
        token = {"access_token": self.issue(), "scope": "global", "token_type": "bearer"}
        return 200, token if self.life_s is None else token | {"expires_in": self.life_s}

    def issue(self) -> str:
        """A token that nobody had before."""
        with self.lock:
            token = f"tokenOfNobody{len(self.issued):04d}.{'x' * 40}"
            self.issued.append(token)
            self.good.add(token)
        return token

    def end_s(self) -> int:
        return self.clock() // SECOND + self.life_s

    def reply(self, asked: Asked) -> tuple[int, Any]:
        """Status and body for one request, in the documented order of checks."""
        if asked.path in ("/oauth2/token", "/authorize"):
            return self.login(asked) if asked.path in self.logins else (404, NO_ROUTE)
        if asked.path not in self.answers:
            return 404, NO_ROUTE
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.good:
            return (401, GATEWAY_401) if self.refusal == "401" else (403, NO_TOKEN)
        return 200, self.answers[asked.path]


def _handler(exchange: KeyExchange) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            path = parts.path.removeprefix("/api/v4")
            asked = Asked(
                self.command, path, dict(parse_qsl(parts.query)), dict(self.headers), body
            )
            exchange.asked.append(asked)
            exchange.gate.wait(30)
            faults = exchange.faults[path]
            if faults:
                fault = faults.popleft()
                if fault.kind == "answer":
                    self.say(fault.status, fault.body, dict(fault.headers))
                elif fault.kind == "silent":
                    exchange.gate.clear()
                    exchange.gate.wait(30)
                self.close_connection = fault.kind != "answer"
                return
            status, said = exchange.reply(asked)
            self.say(status, json.dumps(said), {"Content-Type": "application/json"})

        do_POST = do_DELETE = do_GET  # noqa: N815

        def say(self, status: int, body: str, headers: dict[str, str]) -> None:
            content = body.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(exchange.clock() // SECOND, usegmt=True)

        def log_message(self, *_: object) -> None:
            """Tests print what they need themselves."""

    return Handler
