"""Structured logs: one JSON object a line, with the same fields everywhere."""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from loguru import logger
from pydantic import SecretStr

from cq.utils.settings import Settings

FIELDS: Final = (
    "ts",
    "level",
    "component",
    "symbol",
    "action",
    "status",
    "reason",
    "latency_ms",
    "request_id",
    "client_id",
)
"""The fields of every line, in this order; more may follow."""

MASK: Final = "**********"

MARKUP: Final = {38: "&amp;", 60: "&lt;", 62: "&gt;"}
QUOTES: Final = {34: "&quot;", 39: "&#x27;"}

_HIDDEN: Final[deque[SecretStr]] = deque(maxlen=16)
"""The newest tokens; older ones have expired."""

RETRY: Final = "retry"
"""The status of an event that says: this will be tried again."""

logger.disable("cq")  # as a library it is silent until `configure` says where lines go


def configure(settings: Settings, *, running: bool = False, told: Collection[str] = ()) -> None:
    """Send log lines to `settings.log_file`, or to standard error; secrets never reach either.

    A file gets JSON. So does standard error from a command that goes on `running` with nobody at
    a terminal, and from any at level DEBUG. Otherwise people read it: they get a sentence for each
    warning whose action the command has not `told` itself, and retries only at a terminal.
    """
    mask, level = _masking(settings), settings.log_level
    logger.enable("cq")
    file, terminal = settings.log_file, sys.stderr.isatty()
    for_people = file is None and level != "DEBUG" and (terminal or not running)
    logger.remove()

    def write(message: Any) -> None:
        text = mask(_line(message.record)) + "\n"
        if file is None:
            sys.stderr.write(text)
        else:
            _append(file, text)

    def say(message: Any) -> None:
        said = message.record["extra"]
        if said["action"] not in told and (terminal or said.get("status") != RETRY):
            sys.stderr.write(mask(_sentence(said)) + "\n")

    if for_people:
        level = "ERROR" if level == "ERROR" else "WARNING"
    logger.add(
        say if for_people else write, level=level, format="{message}", diagnose=False, catch=False
    )


def _masking(settings: Settings) -> Callable[[str], str]:
    """Cuts the secrets of `settings`, and the hidden ones, out of a text."""
    secrets = [
        secret.get_secret_value()
        for _, secret in settings.credentials
        if secret is not None and secret.get_secret_value()
    ]

    def mask(text: str) -> str:
        for secret in (*secrets, *(one.get_secret_value() for one in tuple(_HIDDEN))):
            for form in forms_of(secret):
                text = text.replace(form, MASK)
        return text

    return mask


@lru_cache(maxsize=64)
def forms_of(secret: str) -> tuple[str, ...]:
    """A secret as texts may quote it: as it is, in JSON, in an address or a form, in HTML."""
    json_forms = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    addressed = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms = {
        *(secret, secret.translate(MARKUP), secret.translate(MARKUP | QUOTES)),
        *(secret.translate(MARKUP | QUOTES | {39: "&#39;"}), *json_forms, *addressed),
        *(form.replace("/", "\\/") for form in json_forms),
        *(re.sub("%..", lambda one: one[0].lower(), form) for form in addressed),
    }
    return tuple(sorted(forms, key=len, reverse=True))


def hide(secret: SecretStr) -> None:
    """Cut `secret`, which came to be while running, out of every line from now on."""
    if secret.get_secret_value():
        _HIDDEN.append(secret)


def event(component: str, action: str, *, level: str = "INFO", **fields: Any) -> None:
    """Log that `component` did `action`; the facts ride along as fields.

    A field `sentence` says the same to people; without one they read the symbol and the reason.
    """
    logger.bind(component=component, action=action, **fields).log(level, action)


def _sentence(said: Mapping[str, Any]) -> str:
    words = (said.get("symbol"), said.get("reason") or said["action"])
    return str(said.get("sentence") or ": ".join(str(one) for one in words if one))


def _line(record: Any) -> str:
    said = {name: value for name, value in record["extra"].items() if name != "sentence"}
    said["ts"] = int(record["time"].timestamp() * 1_000_000) * 1_000
    said["level"] = record["level"].name
    said.setdefault("component", record["name"])
    said.setdefault("action", record["message"])
    ordered = {name: said.pop(name, None) for name in FIELDS}
    if record["exception"] is not None:
        said["error"] = repr(record["exception"].value)
    return json.dumps(ordered | said, default=str)


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
