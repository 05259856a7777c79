"""Names of folders with placeholders in them: filled, and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from cq.lake.rules import INTERVAL, NOBODY, PLAIN_NAME, SYMBOL
from cq.utils.time import from_ns

OWNERS: Final = ("exchange", "symbol", "interval")
TIMES: Final = ("YYYY", "MM", "DD", "HH")
FIELDS: Final = (*OWNERS, "dataset", *TIMES, "HHmmss")

UNKNOWN: Final = "unknown"

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
FORMS: Final = {"exchange": PLAIN_NAME, "symbol": SYMBOL, "interval": INTERVAL}
"""What the rules ask of each owner."""
_FOLDERS: Final = {name: f"{form.strip('^$')}|{UNKNOWN}|{NOBODY}" for name, form in FORMS.items()}
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
def literals(pattern: str) -> tuple[str, ...]:
    """What stands before, between and after the placeholders of a pattern: one more than those."""
    return tuple(_PLACEHOLDER.split(pattern)[::2])


@cache
def regex(pattern: str) -> re.Pattern[str]:
    """What names of a pattern look like, with its placeholders as groups.

    A year has four digits; a month, day or hour may lack its first one, as other programs write it,
    unless other digits may touch it. An owner may be any text, as other programs write it, unless
    it shares the name with others: then each has the form that the rules ask of it.
    """
    texts, names = literals(pattern), placeholders(pattern)
    several = sum(name in OWNERS for name in names) > 1
    found = re.escape(texts[0])
    for n, name in enumerate(names):
        before, after = texts[n], texts[n + 1]
        touched = (
            bool(re.search(r"[0-9]$", before) or re.match(r"[0-9]", after))
            or (n > 0 and not before)
            or (n + 1 < len(names) and not after)
        )
        found += f"(?P<{name}>{_form(name, touched, several)}){re.escape(after)}"
    return re.compile(found)


def _form(name: str, touched: bool, several: bool) -> str:
    if name == "YYYY":
        return "[0-9]{4}"
    if name in TIMES:
        return "[0-9]{2}" if touched else "[0-9]{1,2}"
    return _FOLDERS[name] if several and name in _FOLDERS else ".+"


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
