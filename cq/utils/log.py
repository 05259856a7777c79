"""Structured logs: one JSON object a line, with the same fields everywhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from loguru import logger

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


def configure(settings: Settings) -> None:
    """Send log lines to `settings.log_file`, or to standard error; secrets never reach either."""
    secrets = [
        secret.get_secret_value()
        for _, secret in settings.credentials
        if secret is not None and secret.get_secret_value()
    ]
    logger.remove()

    def write(message: Any) -> None:
        text = _line(message.record)
        for secret in secrets:
            text = text.replace(json.dumps(secret)[1:-1], MASK)
        if settings.log_file is None:
            sys.stderr.write(text + "\n")
        else:
            _append(settings.log_file, text + "\n")

    logger.add(write, level=settings.log_level, format="{message}", diagnose=False, catch=False)


def event(component: str, action: str, *, level: str = "INFO", **fields: Any) -> None:
    """Log that `component` did `action`; the facts ride along as fields."""
    logger.bind(component=component, action=action, **fields).log(level, action)


def _line(record: Any) -> str:
    said = dict(record["extra"])
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
