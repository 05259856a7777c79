"""How the exchange's answers look: forms of errors, and numbers as it writes them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from aiohttp import web

CLOUDFLARE = """<!DOCTYPE html>
<html lang="en-US"><head><title>{title}</title></head>
<body><h1>{title}</h1><p>Cloudflare Ray ID: <strong>0000000000000000</strong></p></body></html>
"""


def answer(value: Any, status: int = 200) -> web.Response:
    """A JSON answer, written without spaces."""
    return web.Response(
        text=json.dumps(value, separators=(",", ":")),
        status=status,
        content_type="application/json",
    )


def refused(status: int, code: str, message: str) -> web.Response:
    """An error of the application."""
    return answer({"code": code, "message": message}, status)


def gateway(code: int, status: str, message: str) -> web.Response:
    """An error of the layer in front of the application."""
    return answer({"error": {"code": code, "status": status, "message": message}}, code)


def html(status: int, title: str) -> web.Response:
    """An error of the network in front of it all."""
    return web.Response(
        text=CLOUDFLARE.format(title=title), status=status, content_type="text/html"
    )


def no_route() -> web.Response:
    """What a path that is none is answered."""
    return refused(404, "API|ROUTE_NOT_FOUND", "This route not found")


def eight(units: int) -> str:
    """Units of 1e-8 with 8 decimals: `485685.00000000`."""
    whole, part = divmod(int(units), 100_000_000)
    return f"{whole}.{part:08d}"


def plain(value: Decimal) -> str:
    """A decimal without an exponent."""
    return f"{value:f}"
