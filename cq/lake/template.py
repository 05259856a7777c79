"""Names of folders with placeholders in them: filled, and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from cq.utils.time import from_ns

OWNERS: Final = ("exchange", "symbol", "interval")
TIMES: Final = ("YYYY", "MM", "DD", "HH")
FIELDS: Final = (*OWNERS, "dataset", *TIMES, "HHmmss")

NOBODY: Final = "none"
UNKNOWN: Final = "unknown"

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_DIGITS: Final = {"YYYY": r"[0-9]{4}", **dict.fromkeys(TIMES[1:], r"[0-9]+")}
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


@cache
def placeholders(pattern: str) -> tuple[str, ...]:
    """What a pattern has in braces, from the left."""
    return tuple(_PLACEHOLDER.findall(pattern))


def filled(pattern: str, values: Mapping[str, str]) -> str:
    """The name that a pattern makes with these values."""
    for name in placeholders(pattern):
        pattern = pattern.replace(f"{{{name}}}", values[name])
    return pattern


@cache
def regex(pattern: str) -> re.Pattern[str]:
    """What names of a pattern look like, with its placeholders as groups.

    A year has four digits; a month, day or hour may lack its first one, as other programs write it.
    """
    pieces = _PLACEHOLDER.split(pattern)
    literal, names = pieces[::2], pieces[1::2]
    text = re.escape(literal[0])
    for name, after in zip(names, literal[1:], strict=True):
        text += f"(?P<{name}>{_DIGITS.get(name, r'.+')}){re.escape(after)}"
    return re.compile(text)


@lru_cache(maxsize=256)
def calendar(ts: int) -> Mapping[str, str]:
    """The placeholders of a time; often many files begin at the same one."""
    moment = from_ns(ts)
    return {
        "YYYY": f"{moment.year:04d}",
        "MM": f"{moment.month:02d}",
        "DD": f"{moment.day:02d}",
        "HH": f"{moment.hour:02d}",
        "HHmmss": f"{moment:%H%M%S}",
    }


@lru_cache(maxsize=4096)
def safe(value: str | None) -> str:
    """`value` where it can be a folder's name, else `unknown`."""
    return value if value is not None and _SAFE.fullmatch(value) else UNKNOWN
