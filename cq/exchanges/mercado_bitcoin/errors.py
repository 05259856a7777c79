"""What went wrong, read from a reply: status, headers and body in, an error or None out.

The exchange answers in three voices: its application (`{"code", "message"}`), its gateway
(`{"error": {"code", "status", "message"}}`), and the edge in front of both (HTML).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

from cq.errors import ExchangeError, RateLimited, Refused, Transient, Unavailable
from cq.utils.time import SECOND, to_ns

TOO_MANY: Final = 429
SERVER_FAULT: Final = 500
LONGEST_MESSAGE: Final = 200

UNKNOWN_SYMBOL: Final = ("SYMBOL_IS_INVALID", "INVALID_BASE_QUOTE", "INVALID_SYMBOL")
"""Last parts of the codes that say: there is no such market."""

_PASSING: Final = ("INTERNAL_SERVER_ERROR", "API_UNAVAILABLE")
_THROTTLED: Final = "REQUEST_RATE_EXCEEDED"


class Unreadable(Transient):
    """An answer that is not what the endpoint's answers look like: cut, garbled, or a proxy's."""

    brief = "an answer that cannot be read"

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(
            f"{path}: the answer cannot be read ({problem}); "
            "check that `ingestion.rest_base_url` is the exchange, or try again later"
        )


def error_in(
    status: int, headers: Mapping[str, str], body: str | bytes, path: str
) -> ExchangeError | None:
    """Name what went wrong, or None; the caller decides whether to raise or to try again."""
    if 200 <= status < 300:
        return None
    code, message = said_in(body)
    last = code.rpartition("|")[2]
    if status == TOO_MANY or last == _THROTTLED:
        return RateLimited(path, retry_after_s(headers))
    if status >= SERVER_FAULT or last in _PASSING:
        fault = Unavailable(path, status)
        fault.retry_after_s = retry_after_s(headers)
        return fault
    if status < 400:
        message = f"it points to {_one_line(_lower(headers).get('location', 'nowhere'))}"
        return Refused(path, status, "redirect", f"{message}; check `ingestion.rest_base_url`")
    return Refused(path, status, code, message)


def said_in(body: str | bytes) -> tuple[str, str]:
    """The code and the message of an error's body, whichever of the three voices it has."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        said = json.loads(text)
    except ValueError:
        return _from_page(text)
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        return _from_gateway(said["error"])
    if isinstance(said, dict) and isinstance(said.get("error"), str):  # as RFC 6749 says it
        return _one_line(said["error"]), _one_line(said.get("error_description") or "no word")
    if isinstance(said, dict) and ("code" in said or "message" in said):
        return _one_line(said.get("code") or "no code"), _one_line(said.get("message") or "no word")
    return "no code", _one_line(text)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The pause that `Retry-After` asks for, in seconds; None where it asks for none.

    A date counts from the reply's own `Date`, so that our clock does not matter.
    """
    said = _lower(headers)
    asked = said.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", asked):
        return float(asked)
    until, sent = http_date_ns(asked), http_date_ns(said.get("date", ""))
    if until is None or sent is None:
        return None
    return max(0.0, (until - sent) / SECOND)


def http_date_ns(text: str) -> int | None:
    """Nanoseconds of an HTTP date (whole seconds); None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return to_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _from_gateway(error: dict[str, Any]) -> tuple[str, str]:
    words = [_one_line(error[key]) for key in ("message", "reason") if error.get(key)]
    return _one_line(error.get("status") or "gateway"), "; ".join(words) or "no word"


def _from_page(text: str) -> tuple[str, str]:
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    number = re.search(r"error code:\s*(\d+)", re.sub(r"<[^>]+>", " ", text), re.IGNORECASE)
    if not title and "<" in text:
        return "a page", "it is a web page, no answer of the API"
    code = f"edge error {number[1]}" if number else "a page" if title else "no code"
    return code, _one_line(title[1] if title else text) or "an empty answer"


def _one_line(value: object) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
