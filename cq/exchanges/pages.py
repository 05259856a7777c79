"""Which ranges to ask an exchange for until it is proven that every bar is known; no I/O.

A reply may be cut, at an unknown number of bars and at either end, and it leaves out buckets
without a trade: so that few bars came back proves nothing. What does prove that nothing was cut:

- a reply that is empty (a cap never empties one);
- at an end: a bar so near to it that no other fits between;
- at the left end also the bar before it, known already and asked for again (the *anchor*).

Whatever is not proven is asked for again, in smaller pages once a cut has been seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cq.utils.time import DAY, from_ns, interval_ns, to_ns

Range = tuple[int, int]


def moved(ts: int, interval: str, bars: int) -> int:
    """The opening time `bars` bars after that of the one that opens at `ts`."""
    if interval != "1M":
        return ts + bars * interval_ns(interval)
    opened = from_ns(ts)
    year, month = divmod(opened.year * 12 + opened.month - 1 + bars, 12)
    first = opened.replace(year=year, month=month + 1, day=1)
    last_day = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return to_ns(first.replace(day=min(opened.day, last_day.day)))


def settled(now_ns: int, interval: str) -> int:
    """Whatever bar opens before this instant has closed at `now_ns`.

    Weeks and months may begin on any day, so theirs is counted back from the last midnight.
    """
    if interval not in ("1w", "1M"):
        return now_ns // interval_ns(interval) * interval_ns(interval)
    return moved(now_ns // DAY * DAY, interval, -1) + DAY


def buckets(start: int, end: int, interval: str, anchor: int = 0) -> int:
    """How many bars may open in [start, end), where one may open at `anchor`."""
    if interval != "1M":
        step = interval_ns(interval)
        return (end - 1 - anchor) // step - (start - 1 - anchor) // step
    before, last = (from_ns(one - 1) for one in (start, end))
    return (last.year - before.year) * 12 + last.month - before.month


@dataclass(frozen=True)
class Part:
    """A stretch that is not proven yet.

    `anchor` is a known bar right before it. `asked_to` and `rows` tell of the reply that left it
    unproven: a bar found before `asked_to` shows that a reply of `rows` bars had been cut.
    """

    start: int
    end: int
    reach: int
    anchor: int | None = None
    asked_to: int = 0
    rows: int = 0


@dataclass
class Pages:
    """Asks for `ranges` page by page, oldest first, until all of it is proven."""

    interval: str
    ranges: Sequence[Range]
    page_bars: int
    reach_ns: int = 0
    parts: list[Part] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = [Part(start, end, end) for start, end in self.ranges if start < end]
        if self.parts:
            last = self.parts[-1]
            self.parts[-1] = replace(last, reach=max(last.end, self.reach_ns))

    def next(self) -> Range | None:
        """What to ask for now; None when everything is proven."""
        if not self.parts:
            return None
        part = self.parts[0]
        if part.anchor is None or self.page_bars == 1:
            start, new_bars = part.start, self.page_bars
        else:
            start, new_bars = part.anchor, self.page_bars - 1
        stop = moved(part.start, self.interval, new_bars)
        return start, part.reach if stop >= part.end else stop

    def end_at(self, end_ns: int) -> None:
        """Ask for nothing from `end_ns` on: there is nothing yet that could be proven."""
        self.parts = [
            one if one.end <= end_ns else replace(one, end=end_ns, reach=end_ns)
            for one in self.parts
            if one.start < end_ns
        ]

    def answer(self, asked: Range, stamps: Iterable[int]) -> Range | None:
        """Take the opening times in the reply to `asked`; the range that it proves, if any."""
        seen = sorted(one for one in set(stamps) if asked[0] <= one < asked[1])
        part = self.parts.pop(0)
        new = [one for one in seen if one >= part.start]
        if asked[0] < part.start and not new:
            self.parts.insert(0, replace(part, anchor=None))
            return None
        if new and new[0] < part.asked_to:
            self.page_bars = max(1, min(self.page_bars, part.rows))
        stop = min(part.end, asked[1])
        if not new:
            self._leave(replace(part, start=stop, anchor=None, asked_to=0))
            return part.start, stop
        return self._proven_around(part, asked, seen, new)

    def _proven_around(
        self, part: Part, asked: Range, seen: Sequence[int], new: Sequence[int]
    ) -> Range | None:
        first, last = new[0], new[-1]
        whole_left = seen[0] < part.start or moved(first, self.interval, -1) < part.start
        edge = moved(last, self.interval, 1)
        self._leave(
            replace(
                part,
                start=edge,
                anchor=last,
                asked_to=min(asked[1], part.end),
                rows=len(seen),
            )
        )
        if not whole_left:
            end = min(first, part.end)
            self._leave(Part(part.start, end, end, asked_to=end, rows=len(seen)))
        start, stop = part.start if whole_left else first, min(edge, part.end)
        return (start, stop) if start < stop else None

    def _leave(self, part: Part) -> None:
        if part.start < part.end:
            self.parts.insert(0, part)
