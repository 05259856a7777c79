"""Which ranges to ask an exchange for until it is proven that every bar is known; no I/O.

A reply may be cut, at an unknown number of bars and at either end, and it leaves out buckets
without a trade: so that few bars came back proves nothing. An exchange may also keep only so much
history, of unknown depth: so that no bar came back proves nothing either, where bars are known from
before. What does prove that nothing is missing:

- at an end: a bar so near to it that no other fits between;
- at the left end also the bar before it, known already and asked for again (the *anchor*);
- a reply that is empty (a cap never empties one), once the anchor has come after it: the exchange
  still reaches back that far. Where no bar is known before, an empty reply is believed as it is.

Whatever is not proven is asked for again, in smaller pages once a cut has been seen. Where the
anchor does not come any more, what is empty behind it is no longer kept: nobody can tell whether
there were bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from cq.utils.time import DAY, from_ns, interval_ns, to_ns

Range = tuple[int, int]

SILENT_PAGES: Final = 8
"""After so many empty pages the anchor is asked for: what they prove can land, and is kept."""


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

    `anchor` is the newest known bar before it, with nothing unknown between. `silent_ns` is how
    far from its start on replies without the anchor had no bar. `asked_to` and `rows` tell of the
    reply that left it unproven: a bar found before `asked_to` shows that a reply of `rows` bars had
    been cut. `unkept` says that the exchange keeps the bar before it no longer, and maybe more.
    """

    start: int
    end: int
    reach: int
    anchor: int | None = None
    silent_ns: int = 0
    asked_to: int = 0
    rows: int = 0
    unkept: bool = False


@dataclass
class Pages:
    """Asks for `ranges` page by page, oldest first, until all is proven or known to be unkept.

    `anchors` has, by the start of a range, the newest bar before it that the exchange has sent
    once, where all between is known. `most_rows` is how many bars one reply has held so far: a cap
    is no lower.
    """

    interval: str
    ranges: Sequence[Range]
    page_bars: int
    reach_ns: int = 0
    anchors: Mapping[int, int] = field(default_factory=dict)
    most_rows: int = 0
    parts: list[Part] = field(init=False)
    unkept: list[Range] = field(init=False, default_factory=list)
    """Where no bar came, and the exchange keeps the bar before no longer: nothing is proven."""

    def __post_init__(self) -> None:
        self.parts = [
            Part(start, end, end, self.anchors.get(start))
            for start, end in self.ranges
            if start < end
        ]
        if self.parts:
            last = self.parts[-1]
            self.parts[-1] = replace(last, reach=max(last.end, self.reach_ns))

    def next(self) -> Range | None:
        """What to ask for now; None when there is nothing left to ask."""
        if not self.parts:
            return None
        part = self.parts[0]
        start = part.start + part.silent_ns
        if part.anchor is not None:
            if self._is_silent(part):
                return part.anchor, min(moved(part.anchor, self.interval, 1), part.start)
            stop = moved(part.anchor, self.interval, self.page_bars)
            if self.most_rows > 1 and min(stop, part.end) > start:
                return part.anchor, part.reach if stop >= part.end else stop
        stop = moved(start, self.interval, self.page_bars)
        return start, part.reach if stop >= part.end else stop

    def _is_silent(self, part: Part) -> bool:
        """Whether it is time to ask what the silence so far is worth."""
        most = SILENT_PAGES * self.page_bars * interval_ns(self.interval)
        return part.silent_ns >= min(part.end - part.start, most)

    def end_at(self, end_ns: int) -> None:
        """Ask for nothing from `end_ns` on: there is nothing yet that could be proven."""
        self.parts = [
            one if one.end <= end_ns else replace(one, end=end_ns, reach=end_ns)
            for one in self.parts
            if one.start < end_ns
        ]
        self.unkept = [(low, min(high, end_ns)) for low, high in self.unkept if low < end_ns]

    def answer(self, asked: Range, stamps: Iterable[int]) -> Range | None:
        """Take the opening times in the reply to `asked`; the range that it proves, if any."""
        seen = sorted(one for one in set(stamps) if asked[0] <= one < asked[1])
        self.most_rows = max(self.most_rows, len(seen))
        part = self.parts.pop(0)
        new = [one for one in seen if one >= part.start]
        if new:
            if new[0] < part.asked_to:
                self.page_bars = max(1, min(self.page_bars, part.rows))
            return self._proven_around(part, asked, seen, new)
        if asked[0] < part.start:
            silent_to = max(asked[1], part.start + part.silent_ns)
            return self._silence(part, silent_to, kept=bool(seen))
        if part.anchor is None:
            return self._silence(part, asked[1], kept=not part.unkept)
        self._leave(replace(part, silent_ns=min(part.end, asked[1]) - part.start))
        return None

    def _silence(self, part: Part, until: int, *, kept: bool) -> Range | None:
        """No bar opens from the part's start `until` then, or none is `kept` that did."""
        stop = min(part.end, until)
        if kept:
            self._leave(replace(part, start=stop, silent_ns=0))
            return part.start, stop
        self.unkept.append((part.start, stop))
        self._leave(replace(part, start=stop, anchor=None, silent_ns=0, unkept=True))
        return None

    def _proven_around(
        self, part: Part, asked: Range, seen: Sequence[int], new: Sequence[int]
    ) -> Range | None:
        first, last = new[0], new[-1]
        whole_left = seen[0] < part.start or moved(first, self.interval, -1) < part.start
        edge = moved(last, self.interval, 1)
        asked_to = min(asked[1], part.end)
        self._leave(
            Part(edge, part.end, part.reach, anchor=last, asked_to=asked_to, rows=len(seen))
        )
        if not whole_left:
            end = min(first, part.end)
            self._leave(replace(part, end=end, reach=end, asked_to=end, rows=len(seen)))
        start, stop = part.start if whole_left else first, min(edge, part.end)
        return (start, stop) if start < stop else None

    def _leave(self, part: Part) -> None:
        if part.start < part.end:
            self.parts.insert(0, part)
