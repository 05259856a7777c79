"""Limits and faults, between a request and its handler."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from math import ceil

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cq.sim.answers import gateway, html, refused
from cq.sim.faults import Stroke
from cq.sim.plan import SOCKET
from cq.sim.simulation import Simulation
from cq.utils.time import SECOND

_TITLES = {
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service temporarily unavailable",
    504: "Gateway time-out",
    520: "Web server is returning an unknown error",
    524: "A timeout occurred",
}
_HOLD_S = 120.0


def middleware(sim: Simulation) -> Middleware:
    """What stands before every endpoint of the API."""

    @web.middleware
    async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
        endpoint = request.match_info.route.name
        if endpoint is None or endpoint == SOCKET:
            return await handler(request)
        symbol = request.match_info.get("symbol") or request.query.get("symbol", "")
        sim.status.requests[endpoint] += 1
        if sim.faults.is_out(endpoint, symbol):
            sim.faults.count["outage"] += 1
            return html(503, _TITLES[503])
        wait_s = sim.limits.wait_s(endpoint, symbol) if sim.limits else 0.0
        if wait_s:
            sim.status.limited[endpoint] += 1
            return too_many(sim, sim.switches.limit_retry_after, wait_s)
        return await _struck(sim, request, handler, sim.faults.on_request(endpoint, symbol))

    return strike


async def _struck(
    sim: Simulation, request: web.Request, handler: Handler, strokes: list[Stroke]
) -> web.StreamResponse:
    """Latency adds up; the first other fault decides."""
    delay_ms = sum(one.ms for one in strokes if one.rule.kind == "latency")
    if delay_ms:
        await asyncio.sleep(delay_ms / 1000)
    for stroke in strokes:
        match stroke.rule.kind:
            case "latency":
                continue
            case "timeout_before":
                return await _silence(request, stroke)
            case "timeout_after":
                await handler(request)
                return await _silence(request, stroke)
            case "too_many":
                return too_many(sim, stroke.rule.retry_after, stroke.rule.wait)
            case "server_error":
                return _failed(stroke.rule.status)
            case "html_403":
                return html(403, "Access denied | Error 1010")
            case "expired_token":
                if sim.exchange is not None:
                    sim.exchange.expire_tokens()
                return gateway(401, "Unauthorized", "The request could not be authorized")
            case "cut_short":
                return await _cut_short(request, await handler(request))
            case _:
                return _dropped(request)
    return await handler(request)


def too_many(sim: Simulation, retry_after: str, wait_s: float) -> web.Response:
    """A 429; its body and header are not known, so both are switches."""
    match sim.switches.limit_body:
        case "html":
            response = html(429, "Error 1015 | You are being rate limited")
        case "gateway":
            response = gateway(429, "Too Many Requests", "Request rate exceeded")
        case _:
            response = refused(429, "API|REQUEST_RATE_EXCEEDED", "Request rate exceeded")
    if retry_after == "seconds":
        response.headers["Retry-After"] = str(ceil(wait_s))
    elif retry_after == "date":
        due_s = sim.told_ns() / SECOND + wait_s * (sim.clock.speed or 1)
        response.headers["Retry-After"] = formatdate(ceil(due_s), usegmt=True)
    return response


def _failed(status: int) -> web.Response:
    if status == 500:
        return refused(500, "API|INTERNAL_SERVER_ERROR", "An unexpected error has occurred")
    return html(status, _TITLES.get(status, "Error"))


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


async def _silence(request: web.Request, stroke: Stroke) -> web.Response:
    """No answer for as long as the client waits, or until the fault is over."""
    lasts = _HOLD_S if stroke.rule.lasts is None else stroke.rule.lasts
    loop = asyncio.get_running_loop()
    end = loop.time() + lasts
    while loop.time() < end and request.transport is not None:
        if request.transport.is_closing():
            break
        await asyncio.sleep(0.02)
    return _dropped(request)


async def _cut_short(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    """Half of the body, then the connection ends."""
    body = whole.body if isinstance(whole, web.Response) else b""
    content = body if isinstance(body, bytes) else b""
    half = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
    half.content_length = max(len(content), 2)
    await half.prepare(request)
    await half.write(content[: max(len(content) // 2, 1)])
    if request.transport is not None:
        request.transport.close()
    return half
