"""Charts as values: what is drawn where, whoever draws it (svg.py a page, figures.py a PNG)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np

from cq.report.curves import Floats
from cq.utils.time import from_ns, to_ns

INK, QUIET, LINE = "#0f172a", "#64748b", "#e2e8f0"
OURS, HOLD, EQUAL = "#2563eb", "#94a3b8", "#d97706"
GAIN, LOSS, RISING, FALLING = "#16a34a", "#dc2626", "#b6c2d2", "#64748b"

DIGITS: Final = 3
MOST_DIGITS: Final = 9


@dataclass(frozen=True)
class Mark:
    """Something drawn: a line, an area down to 0, bars from 0, candles, or triangles.

    `y` is the height; of candles open, high, low and close are in `more`; of bars `x` is the left
    edge, and `more` holds the right one.
    """

    kind: Literal["line", "area", "bars", "candles", "up", "down", "rule"]
    x: Any
    y: Any
    color: str
    label: str = ""
    width: float = 1.2
    more: tuple[Any, ...] = ()


LEAST, MOST = 1e-307, 1e307
"""What a logarithmic axis reaches to at the most: beyond, powers of ten are no floats."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes; `height` is beside the chart's others, `form` writes what lies on y."""

    title: str
    marks: Sequence[Mark]
    form: Callable[[float, int], str]
    height: float = 1.0
    log: bool = False
    least: tuple[float, ...] = ()
    """Values that have to be within reach, such as 0."""

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest that is drawn, with some room."""
        values = [np.asarray(one, dtype=float) for mark in self.marks for one in _heights(mark)]
        values.append(np.array(self.least, dtype=float))
        found = np.concatenate([one[np.isfinite(one)] for one in values])
        low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
        if self.log:
            room = high**0.04 / low**0.04
            return max(low / room, LEAST), min(high * room, MOST)
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        if low == high:
            return low - room, high + room
        return (low if low in self.least else low - room), (
            high if high in self.least else high + room
        )

    @property
    def ticks(self) -> list[float]:
        """Round values within reach."""
        low, high = self.reach
        return decades(low, high) if self.log else steps(low, high, 3 if self.height < 1 else 5)

    @property
    def labels(self) -> list[str]:
        """What stands beside the ticks, with as many digits as tell them apart."""
        return told_apart(self.form, self.ticks)


def _heights(mark: Mark) -> tuple[Any, ...]:
    """What has to be within reach; of candles wicks only as far as they leave room for bodies."""
    if mark.kind != "candles":
        return () if mark.kind in ("up", "down") else (mark.y,)
    opens, highs, lows, closes = mark.more
    least, most = np.minimum(opens, closes).min(), np.maximum(opens, closes).max()
    return [max(lows.min(), least / 1.3)], [min(highs.max(), most * 1.3)]


@dataclass(frozen=True)
class Chart:
    """Panels over one axis: of time (nanoseconds), or of numbers that `form` writes."""

    name: str
    title: str
    panels: Sequence[Panel]
    form: Callable[[float, int], str] | None = None
    note: str = ""
    span: tuple[float, float] = field(default=(0.0, 1.0))

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Where labels stand below the chart, and what they say."""
        if self.form is None:
            return dates(int(self.span[0]), int(self.span[1]), most)
        found = steps(*self.span, most)
        return list(zip(found, told_apart(self.form, found), strict=True))


def steps(low: float, high: float, most: int) -> list[float]:
    """At most about `most` multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    rough = (high - low) / max(most, 1)
    if not (rough > 0 and math.isfinite(rough)):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * one for one in (1, 2, 5, 10) if power * one >= rough * (1 - 1e-9))
    return [
        at * size for at in range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)
    ]


def decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within [low, high]; fewer of each where that is far."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1, 2, 5), (1, 3), (1,)):
        found = [part * 10.0**power for power in powers for part in parts]
        found = [one for one in found if low <= one <= high]
        if len(found) <= 7:
            return found
    return found[:: math.ceil(len(found) / 7)]


HOURS: Final = (1, 3, 6, 12)
DAYS: Final = (1, 2, 7, 14)
MONTHS: Final = (1, 3, 6, 12, 24, 60, 120)


def dates(first: int, last: int, most: int) -> list[tuple[float, str]]:
    """At most `most` round moments of [first, last], in short; the year where it changes."""
    start, end = from_ns(first), from_ns(last)
    for hours in (*HOURS, *(24 * one for one in DAYS)):
        step = timedelta(hours=hours)
        if (end - start) / step <= most:
            return _labelled(_by_hours(start, end, step), "%H:%M" if hours < 24 else "%-d %b")
    for months in MONTHS:
        found = _by_months(start, end, months)
        if len(found) <= most:
            return _labelled(found, "%b" if months < 12 else "%Y")
    return _labelled(found[:: math.ceil(len(found) / most)], "%Y")


def _by_hours(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    at = epoch + math.ceil((start - epoch) / step) * step
    found = []
    while at <= end:
        found.append(at)
        at += step
    return found


def _by_months(start: datetime, end: datetime, months: int) -> list[datetime]:
    number = start.year * 12 + start.month - 1
    number = -(-(number + (start > datetime(start.year, start.month, 1, tzinfo=UTC))) // months)
    found = []
    while (at := datetime(number * months // 12, number * months % 12 + 1, 1, tzinfo=UTC)) <= end:
        found.append(at)
        number += 1
    return found


def _labelled(moments: Sequence[datetime], form: str) -> list[tuple[float, str]]:
    """Hours begin a day with its date, months and days a year with its number."""
    found, before = [], None
    for at in moments:
        text = at.strftime(form)
        if form == "%H:%M" and (before is None or before.date() != at.date()):
            text = at.strftime("%-d %b")
        elif form == "%b" and (before is None or before.year != at.year):
            text = at.strftime("%b %Y") if at.month > 1 else at.strftime("%Y")
        found.append((float(to_ns(at)), text))
        before = at
    return found


def told_apart(form: Callable[[float, int], str], values: Sequence[float]) -> list[str]:
    """Values as texts, with more digits where two of them would look the same."""
    for digits in range(DIGITS, MOST_DIGITS):
        found = [form(one, digits) for one in values]
        if len(set(found)) == len(found):
            return found
    return [form(one, MOST_DIGITS) for one in values]


def money(value: float, digits: int = DIGITS) -> str:
    """An amount short enough for an axis: 950, 12k, 3.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (1 - 1e-9):
            return f"{value / size:.{digits}g}{unit}"
    return f"{value:.{digits}g}"


def share(value: float, digits: int = DIGITS) -> str:
    """A fraction as a percentage without superfluous digits."""
    return f"{value * 100:.{digits + 1}g} %".replace("-0 %", "0 %")


def plain(value: float, digits: int = DIGITS) -> str:
    """A number of few digits."""
    return f"{value:.{digits}g}"


def finite(x: Any, y: Floats) -> tuple[Any, Floats]:
    """The points that have a height."""
    known = np.isfinite(y)
    return (x, y) if known.all() else (x[known], y[known])
