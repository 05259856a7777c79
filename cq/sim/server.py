"""The simulated exchange on the wire: REST and WebSocket, in one process and on one loop."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cq.errors import UsageError
from cq.sim import public, sockets, striking
from cq.sim.answers import answer, no_route
from cq.sim.clock import check_pace
from cq.sim.simulation import Simulation
from cq.utils.time import SECOND

API: Final = "/api/v4"


@dataclass(frozen=True)
class Address:
    """Where to reach a running exchange."""

    host: str
    port: int

    @property
    def rest(self) -> str:
        """What `ingestion.rest_base_url` should be."""
        return f"http://{self._host}:{self.port}{API}"

    @property
    def ws(self) -> str:
        """What `ingestion.ws_url` should be."""
        return f"ws://{self._host}:{self.port}/ws"

    @property
    def status(self) -> str:
        """Where it tells what it has done."""
        return f"http://{self._host}:{self.port}/_sim/status"

    @property
    def _host(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"[{host}]" if ":" in host else host


def create_app(sim: Simulation) -> web.Application:
    """The application: public endpoints, the private ones where `sim.exchange` is set, sockets."""
    app = web.Application(middlewares=[_answering(sim), striking.middleware(sim)])
    found = public.routes(sim)
    if sim.exchange is not None:
        found += sim.exchange.routes(sim)
    app.add_routes(
        [web.RouteDef(one.method, f"{API}{one.path}", one.handler, one.kwargs) for one in found]
    )
    hub = sockets.Hub(sim)
    app.router.add_get("/ws", hub.handle, name="ws")
    app.router.add_get("/_sim/status", _shown(sim))
    app.router.add_post("/_sim/clock", _moved(sim))
    app.on_response_prepare.append(_dated(sim))
    app.on_shutdown.append(hub.close)
    return app


def _answering(sim: Simulation) -> Middleware:
    """A path that is none is answered as the exchange does; every answer is counted."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            response = no_route()
        if request.path.startswith(API):
            sim.status.statuses[response.status] += 1
        return response

    return middleware


def _dated(
    sim: Simulation,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def dated(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(sim.told_ns() // SECOND, usegmt=True)
        response.headers["Server"] = "cloudflare"

    return dated


def _shown(sim: Simulation) -> Handler:
    async def shown(_: web.Request) -> web.Response:
        return answer(sim.shown())

    return shown


def _moved(sim: Simulation) -> Handler:
    """`{"advance_s": 60}` jumps ahead, `{"speed": 100}` changes the pace."""

    async def moved(request: web.Request) -> web.Response:
        try:
            asked = _wishes(await request.json())
            speed = asked.get("speed", sim.clock.speed)
            ahead_ns = int(asked.get("advance_s", 0.0) * SECOND)
            check_pace(speed)  # before anything has moved
            sim.clock.advance(ahead_ns)
            sim.clock.run_at(speed)
        except (OverflowError, TypeError, ValueError) as error:
            return answer({"error": str(error)}, 400)
        return answer({"now_ns": sim.clock.now_ns(), "speed": sim.clock.speed})

    return moved


_CLOCK: Final = 'such as {"advance_s": 60} or {"speed": 100}'


def _wishes(asked: object) -> dict[str, float]:
    """What is asked of the clock; TypeError or ValueError for anything else."""
    if not isinstance(asked, dict):
        raise TypeError(f"found {json.dumps(asked)}, expected an object {_CLOCK}")
    for name, value in asked.items():
        if name not in ("advance_s", "speed"):
            raise ValueError(f"no key {name!r}; expected an object {_CLOCK}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name}: found {json.dumps(value)}, expected a number")
    return {name: float(value) for name, value in asked.items()}


async def listening(sim: Simulation, host: str, port: int) -> tuple[web.AppRunner, Address]:
    """Start to listen; port 0 takes any free one. UsageError where the port is in use."""
    runner = web.AppRunner(create_app(sim), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=512)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(
                f"cannot listen on {host}: that is no address of this machine; "
                "name one with --host, such as 127.0.0.1, or 0.0.0.0 for all of them"
            ) from None
        raise UsageError(
            f"cannot listen on {host} port {port} ({_reason(error)}); "
            "name another with --port, or --port 0 for any free one"
        ) from None
    return runner, Address(host, int(runner.addresses[0][1]))


def _reason(error: OSError) -> str:
    """In the system's words, without those of the event loop around them."""
    known = isinstance(error.errno, int) and error.errno in errno.errorcode
    return os.strerror(error.errno or 0).lower() if known else str(error)


@contextmanager
def running(sim: Simulation, host: str = "127.0.0.1", port: int = 0) -> Iterator[Address]:
    """The exchange in a thread of its own, for as long as the block lasts."""
    ready: list[Address | BaseException] = []
    started, loop = threading.Event(), asyncio.new_event_loop()
    ending: list[asyncio.Event] = []

    async def serve() -> None:
        done = asyncio.Event()
        try:
            runner, address = await listening(sim, host, port)
        except BaseException as error:
            ready.append(error)
            started.set()
            return
        ready.append(address)
        ending.append(done)
        started.set()
        try:
            await done.wait()
        finally:
            await runner.cleanup()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="cq-sim", daemon=True)
    thread.start()
    started.wait()
    try:
        if isinstance(ready[0], BaseException):
            raise ready[0]
        yield ready[0]
    finally:
        if ending:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ending[0].set)
        thread.join()
