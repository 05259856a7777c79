"""Nanoseconds, intervals and the dates that people type."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cq.errors import UsageError

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
YEAR: Final = 365 * DAY

_UNITS: Final = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_MONTH: Final = "1M"
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def interval_ns(interval: str) -> int:
    """The length of `interval` (`1m`, `15m`, `1h`, `3h`, `1d`, `1w`, …) in nanoseconds.

    Months have no fixed length: `1M` counts as 365 / 12 days here, which serves for rates
    (bars a year) but not for bar ends; use `bar_end` for those.
    """
    if interval == _MONTH:
        return YEAR // 12
    is_text = isinstance(interval, str)  # of a frame's or a caller's, whatever it is
    found = re.fullmatch(r"([1-9]\d{0,3})([mhdw])", interval) if is_text else None
    if not found:
        raise UsageError(
            f"{interval!r} is not an interval; expected a number and m, h, d or w "
            "(such as 1m, 15m, 1h, 1d), or 1M"
        )
    return int(found[1]) * _UNITS[found[2]]


def bar_end(ts: int, interval: str) -> int:
    """The instant at which the bar that opens at `ts` closes.

    A month's lies a month later at the same time of day, on a last day where it opens on one.
    """
    if interval != _MONTH:
        return ts + interval_ns(interval)
    opened = from_ns(ts)
    if (opened + _DAY).day == 1:
        opened += _DAY
    first = opened.replace(day=1)
    following = (first + 32 * _DAY).replace(day=1)
    last = (following + 32 * _DAY).replace(day=1) - _DAY
    lasted = min(following + (opened - first), last) - opened
    return ts + lasted // timedelta(microseconds=1) * MICROSECOND


def bars_per_year(interval: str) -> float:
    """How many bars of `interval` a year of 365 days has."""
    return YEAR / interval_ns(interval)


def is_over(began_ns: int, length_ns: int, now_ns: int) -> bool:
    """Whether `length_ns` have passed since `began_ns`; a clock that was set back ends it at once.

    How long it has been cannot be told then, and who waited on would wait for as long as it is off.
    """
    return not began_ns <= now_ns < began_ns + length_ns


def to_ns(moment: datetime) -> int:
    """Nanoseconds since the epoch; a naive moment is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * MICROSECOND


def from_ns(ts: int) -> datetime:
    """The UTC datetime of `ts`, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=ts // MICROSECOND)


def iso(ts: int) -> str:
    """`ts` for people: `2026-01-31T12:00:00Z`, with as many decimals as it needs."""
    whole, fraction = divmod(ts, SECOND)
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{from_ns(whole * SECOND).replace(tzinfo=None).isoformat()}{decimals}Z"


def parse_time(text: str, timezone: str = "UTC") -> int:
    """Nanoseconds of a date or datetime as people type them; a bare one is in `timezone`."""
    text = text.strip()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            moment = datetime.combine(date.fromisoformat(text), datetime.min.time())
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a date; expected YYYY-MM-DD or YYYY-MM-DDTHH:MM[:SS][Z]"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    return to_ns(moment)
