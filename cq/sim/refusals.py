"""The refusals of the private side: status, code and message as the exchange words them.

Messages keep literal braces, as on the wire.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from cq.sim.money import text


class Refusal(Exception):
    """A request that is answered with an error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(f"{status} {code}: {message}")

    @property
    def body(self) -> dict[str, Any]:
        """The application's error body."""
        return {"code": self.code, "message": self.message}


class GatewayRefusal(Refusal):
    """A request that the gateway stops, with a body of its own form."""

    def __init__(self, status: int, word: str, message: str, reason: str = "") -> None:
        self.word, self.reason = word, reason
        super().__init__(status, word, message)

    @property
    def body(self) -> dict[str, Any]:
        """The gateway's error body."""
        reason = {"reason": self.reason} if self.reason else {}
        said = {"code": self.status, "status": self.word, **reason, "message": self.message}
        return {"error": said}


def place(error: str, message: str) -> Refusal:
    """A refusal to place an order."""
    return Refusal(400, f"TRADING|PLACE_ORDER|{error}", message)


def lower(param: str, error: str, bound: Decimal) -> Refusal:
    """Below the smallest value that is taken."""
    return place(error, f"The param {{{param}}} is lower than {{{plain(bound)}}}")


def higher(param: str, error: str, bound: Decimal) -> Refusal:
    """Above the largest value that is taken."""
    return place(error, f"The param {{{param}}} is higher than {{{plain(bound)}}}")


def off_tick(price: Decimal, tick: Decimal, error: str) -> Refusal:
    """Between two ticks."""
    said = f"Price ({text(price)}) must be a multiple of <{text(tick)}>"
    return place(error, said)


def wrong_type(field: str, kind: str) -> Refusal:
    """A JSON value of another type."""
    said = f"The field {{{field}}} must be {{{kind}}}"
    return Refusal(422, "API|UNPROCESSABLE_ENTITY", said)


def plain(value: Decimal) -> str:
    """A number without exponent and without zeros at its end."""
    return f"{value.normalize():f}"


NO_ROUTE: Final = (404, "API|ROUTE_NOT_FOUND", "This route not found")
FORBIDDEN: Final = (403, "API|FORBIDDEN", "You need to be authenticated")
WRONG_LOGIN: Final = (400, "AUTHORIZE|AUTHORIZATION|FORBIDDEN", "Invalid login or password")
PAIR: Final = ("INVALID_PAIR", "The params {base} or {quote} are invalid")
SIDE: Final = ("INVALID_SIDE", "The params {side} needs to be buy or sell")
STOP_SIDE: Final = ("INVALID_SIDE", "Side must be sell on stoplimit orders")
TYPE: Final = ("INVALID_ORDER_TYPE", "Invalid order type")
BALANCE: Final = ("INSUFFICIENT_BALANCE", "Insufficient balance to carry out the operation")
COST: Final = ("EXCEEDED_COST_LIMIT", "The minimum or maximum cost has been exceeded.")
GENERIC: Final = ("API_GENERIC_ERROR", "An unexpected error has occurred")
NO_STOP: Final = ("MISSING_FIELD", "Param stopPrice cannot be empty in stoplimit orders")
STOP: Final = ("INVALID_STOP_PRICE", "The param limitPrice cannot be higher than stopPrice")
DECIMALS: Final = ("INVALID_DECIMAL_PLACES", "Invalid number of decimal places entered")
SIZE: Final = ("PARAMETER_SIZE_LARGE", "Parameter size larger than allowed")
PARAMETER: Final = ("INVALID_PARAMETER", "Invalid parameter value")
DUPLICATE: Final = ("ORDER_DUPLICATE", "There is already an order created")
READ_ONLY: Final = (
    "INVALID_ACCESS",
    "Attempting to access a persistence method with a read-only key",
)


def missing(param: str) -> Refusal:
    """A field that this kind of order needs."""
    return place("MISSING_FIELD", f"Param {param} cannot be empty")


def unknown_order(module: str) -> Refusal:
    """No such order, or not yet."""
    return Refusal(400, f"TRADING|{module}|ORDER_NOT_FOUND", "Order not found")


def unknown_pair(module: str) -> Refusal:
    """A market that is not listed, asked for by anything but an order."""
    return Refusal(400, f"TRADING|{module}|INVALID_PAIR", "{Base} or {Quote} is invalid")


def not_cancellable() -> Refusal:
    """Filled already, or still being processed."""
    return Refusal(400, "TRADING|CANCEL_ORDER|INVALID_STATUS", "Order status is invalid")
