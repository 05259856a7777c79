"""Between a question and httpx: what a request looks like, and what its failures mean."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypedDict
from urllib.parse import urlencode

import httpx

from cq.errors import ConfigError, CqError, Unreachable
from cq.exchanges.mercado_bitcoin.conversation import Send
from cq.exchanges.mercado_bitcoin.signing import sign_request

HEADERS: Final = {"User-Agent": "Mozilla/5.0 (compatible; cq)", "Accept": "application/json"}
"""The edge blocks what does not look like an ordinary client."""

KEPT_ALIVE_S: Final = 90.0
"""An idle connection is used again within this time: a look every minute needs no new one."""

NEVER_LEFT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before the first byte of the request."""


class Options(TypedDict):
    """What both kinds of httpx client are made with."""

    headers: Mapping[str, str]
    timeout: float
    http2: bool
    limits: httpx.Limits


def options(base_url: str, timeout_s: float) -> Options:
    """Time-outs in every phase, connections that are kept, HTTP/2 where the server offers it."""
    # At level DEBUG hpack writes every header, tokens included, to Python's own log.
    logging.getLogger("hpack").setLevel(logging.WARNING)
    return {
        "headers": HEADERS,
        "timeout": timeout_s,
        "http2": base_url.startswith("https"),
        "limits": httpx.Limits(keepalive_expiry=KEPT_ALIVE_S),
    }


class Request(TypedDict):
    """What `stream` of either httpx client takes."""

    method: str
    url: str
    params: Mapping[str, str | int] | None
    content: bytes | None
    headers: Mapping[str, str]


def request(base_url: str, send: Send) -> Request:
    """The request that asks `send.question`, with its token where it has one."""
    asked, content, kind = send.question, None, {}
    headers: dict[str, str] = dict(asked.headers)
    if asked.body is not None:
        content, kind = encoded(asked.body).encode(), {"Content-Type": "application/json"}
    elif asked.form is not None:
        content = urlencode(asked.form).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
    if send.token is not None:
        headers |= sign_request(send.token, asked.path, asked.params, asked.body)
    url = asked.path if "://" in asked.path else base_url + asked.path
    return {
        "method": asked.method,
        "url": url,
        "params": asked.params or None,
        "content": content,
        "headers": headers | kind,
    }


def encoded(value: Any) -> str:
    """`value` as JSON; a Decimal is a number with exactly its digits."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no number that JSON knows")
        return format(value, "f")
    if isinstance(value, Mapping):
        inside = ",".join(f"{json.dumps(str(key))}:{encoded(one)}" for key, one in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(encoded, value))}]"
    return json.dumps(value, allow_nan=False)


def failure(error: Exception, base_url: str, timeout_s: float) -> CqError:
    """What a failure of httpx means.

    It is returned, not raised, so that the caller can raise it with no trace of the request: the
    exceptions of httpx carry the whole of it, body and token.
    """
    unsent = isinstance(error, NEVER_LEFT)
    if isinstance(error, httpx.InvalidURL):
        return ConfigError("ingestion.rest_base_url", f"{base_url}: {error}")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Unreachable(base_url, f"no answer within {timeout_s:g} s", sent=not unsent)
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return Unreachable(base_url, type(error).__name__, sent=False)
    return Unreachable(base_url, str(error) or type(error).__name__, sent=not unsent)


FAILURES: Final = (
    httpx.TransportError,
    httpx.DecodingError,
    httpx.InvalidURL,
    TimeoutError,
)
