"""Every trade of a range of time, oldest first, with the proof that none is missing; no I/O.

By id where the exchange understands that, else by windows of time (see `trade_pages`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cq.exchanges.trade_pages import (
    FIRST_WIDTH,
    After,
    Between,
    Hunt,
    Ids,
    Plan,
    holes,
    ids_of,
)
from cq.utils.time import SECOND

Range = tuple[int, int]

WIDEST: Final = 8
"""A window grows by no more than this factor at a time."""

FRUITLESS: Final = 20
"""Holes that brought nothing, one after the other, until the next ones are only reported."""


@dataclass
class Walk:
    """The trades of [start_ns, end_ns); `steps` asks, `drain` hands on what came meanwhile.

    `lost` are ids whose trades the exchange does not give; the seconds around them are not proven.
    """

    start_ns: int
    end_ns: int
    cap: int = 1000
    by_id: bool = True
    lost: list[Ids] = field(default_factory=list)
    proven_ns: int = field(init=False)
    _width: int = field(init=False, default=FIRST_WIDTH)
    _last: int | None = field(init=False, default=None)
    _last_ts: int = field(init=False, default=0)
    _rows: list[pl.DataFrame] = field(init=False, default_factory=list, repr=False)
    _proven: list[Range] = field(init=False, default_factory=list, repr=False)
    _fruitless: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.proven_ns = self.start_ns

    def steps(self) -> Plan:
        """Ask until the whole range is proven, but for what is lost."""
        while self.proven_ns < self.end_ns:
            if self._last is not None and self.by_id:
                yield from self._onwards(self._last)
            else:
                yield from self._window()

    def drain(self) -> tuple[list[pl.DataFrame], list[Range]]:
        """The trades since the last time (an id may come twice), and the ranges now proven."""
        taken = self._rows, self._proven
        self._rows, self._proven = [], []
        return taken

    def _onwards(self, last: int) -> Plan:
        """The page after a trade that is known, which the page has to show as well."""
        page = yield After(max(0, last - 1))
        ids = ids_of(page)
        if page.is_empty() or ids[0] > last + 1 or ids[-1] < last:
            self.by_id = False
            return
        new = page.filter(ids > last)
        if new.height:
            yield from self._take(new)
        reached = new.height and int(new[-1, "ts"]) < self.end_ns
        self._prove(int(new[-1, "ts"]) if reached else self.end_ns)

    def _window(self) -> Plan:
        """The trades of the next stretch of time; narrower next time where it was cut."""
        start, stop = self.proven_ns, min(self.proven_ns + self._width, self.end_ns)
        page = yield Between(start, stop)
        inside = page.filter(pl.col("ts").is_between(start, stop - 1))
        cut = page.height >= self.cap
        if cut and self._width > SECOND:
            self._width = _whole_seconds(min(self._width, stop - start) // 4)
            return
        if self.by_id and page.height:
            yield from self._stand_before(page)
            if self._last is not None and self.by_id:
                return
        if inside.height:
            yield from self._take(inside)
        if cut:  # one second holds more than a reply, and ids cannot be asked for
            self.lost.append((int(ids_of(page)[0]), int(ids_of(page)[-1])))
            self.proven_ns = stop
            return
        self._prove(stop)
        room = 0.6 * self.cap / max(inside.height, 1)
        self._width = _whole_seconds(int(self._width * min(WIDEST, room)))

    def _stand_before(self, page: pl.DataFrame) -> Plan:
        """Find a trade before the frontier to walk on from, going back by id from a page."""
        while True:
            older = page.filter(pl.col("ts") < self.proven_ns)
            if older.height:
                self._last, self._last_ts = int(ids_of(older)[-1]), int(older[-1, "ts"])
                return
            first = int(ids_of(page)[0])
            page = yield After(max(0, first - 1 - self.cap))
            ids = ids_of(page)
            before = page.filter(ids < first)
            if before.is_empty():
                if page.height and ids[0] == first:
                    self._last, self._last_ts = first - 1, self.proven_ns
                else:
                    self.by_id = False
                return
            page = before

    def _take(self, new: pl.DataFrame) -> Plan:
        """Keep trades that follow the last one; hunt for those between that did not come."""
        beyond = new["ts"].search_sorted(self.end_ns) if new["ts"].is_sorted() else new.height
        new = new.head(int(beyond) + 1)
        ids = ids_of(new)
        self._keep(new)
        if self._last is not None:
            known = pl.concat([pl.Series(values=[self._last]).rename(ids.name), ids])
            for hole in holes(known):
                yield from self._hunt(hole, new)
        self._last, self._last_ts = int(ids[-1]), int(new[-1, "ts"])

    def _hunt(self, hole: Ids, page: pl.DataFrame) -> Plan:
        hunt = Hunt(*hole, self.cap, self.by_id)
        if self._fruitless < FRUITLESS:
            hunt.take(page)
            yield from hunt.steps()
            self._keep(hunt.rows)
        self._fruitless = 0 if hunt.rows.height else self._fruitless + 1
        if not hunt.missing:
            return
        self.lost += hunt.missing
        ids = ids_of(page)
        before, after = page.filter(ids < hole[0]), page.filter(ids > hole[1])
        start = int(before[-1, "ts"]) if before.height else self._last_ts
        self._prove(start)
        self.proven_ns = max(self.proven_ns, int(after[0, "ts"]) + SECOND)

    def _keep(self, rows: pl.DataFrame) -> None:
        if rows.height:
            inside = rows.filter(pl.col("ts").is_between(self.start_ns, self.end_ns - 1))
            self._rows.append(inside)

    def _prove(self, until_ns: int) -> None:
        until_ns = min(until_ns, self.end_ns)
        if until_ns > self.proven_ns:
            self._proven.append((self.proven_ns, until_ns))
            self.proven_ns = until_ns


def _whole_seconds(width: int) -> int:
    return max(SECOND, width // SECOND * SECOND)
