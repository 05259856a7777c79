"""Bodies of private requests: read, and checked for JSON types as the exchange does."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

from aiohttp import web

from cq.sim import refusals
from cq.sim.orders import Ask

FIELDS: Final = {
    "side": "string",
    "type": "string",
    "qty": "string",
    "limitPrice": "number",
    "stopPrice": "number",
    "cost": "number",
    "externalId": "string",
    "async": "boolean",
}
"""Field of a new order → JSON type; null is the same as absent."""
_TYPES: Final[Mapping[str, type]] = {"string": str, "number": Decimal, "boolean": bool}


async def json_body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request, numbers as exact decimals; a Refusal where it is none."""
    try:
        text = (await request.read()).decode("utf-8", errors="strict")
        found = json.loads(
            text, parse_int=Decimal, parse_float=Decimal, parse_constant=_no_constant
        )
    except (ValueError, RecursionError, ArithmeticError):
        found = None
    if not isinstance(found, dict):
        raise refusals.wrong_type("body", "object")
    return found


def ask_of(body: Mapping[str, Any]) -> Ask:
    """A new order; a Refusal (422) names the first field of a wrong type."""
    for name, kind in FIELDS.items():
        value = body.get(name)
        if value is not None and not isinstance(value, _TYPES[kind]):
            raise refusals.wrong_type(name, kind)
    return Ask(
        side=body.get("side") or "",
        type=body.get("type") or "",
        qty=_quantity(body.get("qty")),
        limit_price=body.get("limitPrice"),
        stop_price=body.get("stopPrice"),
        cost=body.get("cost"),
        external_id=body.get("externalId"),
        asynchronous=body.get("async") or False,
    )


def _quantity(text: str | None) -> Decimal | None:
    """A quantity from its text; what is no number counts as nothing, which is too little."""
    if not text:
        return None
    plain = text.removeprefix("-")
    is_number = plain.isascii() and plain.replace(".", "", 1).isdigit()
    return Decimal(text) if is_number else Decimal(0)


async def login_of(request: web.Request) -> tuple[str, str]:
    """Login and password of `/authorize`; a Refusal (422) where one is missing."""
    body = await json_body(request)
    for name in ("login", "password"):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise refusals.wrong_type(name, "string")
        if not value:
            code = f"API|REQUEST|{name.upper()}_MUST_BE_REQUIRED"
            raise refusals.Refusal(422, code, f"The param {{{name}}} must be {{required}}")
    return body["login"], body["password"]


async def client_of(request: web.Request) -> tuple[str, str] | None:
    """Id and secret of `/oauth2/token`, from the form or from HTTP Basic; None without them."""
    try:
        form = await request.post()
    except ValueError:
        return None
    if form.get("grant_type") != "client_credentials":
        return None
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            login, colon, password = b64decode(coded, validate=True).decode().partition(":")
        except ValueError:
            return None
        return (login, password) if colon else None
    found = form.get("client_id"), form.get("client_secret")
    return (found[0], found[1]) if isinstance(found[0], str) and isinstance(found[1], str) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
