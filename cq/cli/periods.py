"""The period that two options name."""

from __future__ import annotations

from cq.errors import UsageError
from cq.utils.time import parse_time

STARTS = ("--start", "--end")
SINCE = ("--since", "--until")


def period_of(
    start: str | None, end: str | None, zone: str, options: tuple[str, str] = STARTS
) -> tuple[int | None, int | None]:
    """From when until when, in nanoseconds, as far as it is said; UsageError for no time at all."""
    first, last = (None if said is None else parse_time(said, zone) for said in (start, end))
    if first is not None and last is not None and first >= last:
        raise UsageError(f"{options[0]} {start} is not before {options[1]} {end}")
    return first, last
