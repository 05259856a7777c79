"""Every trade of a range of time, oldest first, with the proof that none is missing; no I/O.

By id where the exchange understands that, else by windows of time (see `trade_pages`).

An exchange may keep only its newest trades, so that an empty reply proves nothing by itself. What
proves it is an older trade that the exchange still gives, or the next id after a known one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cq.exchanges.trade_pages import (
    FIRST_WIDTH,
    After,
    Between,
    Hunt,
    Ids,
    Newest,
    Plan,
    holes,
    ids_of,
)
from cq.utils.time import SECOND, iso

Range = tuple[int, int]

WIDEST: Final = 8
"""A window grows by no more than this factor at a time."""

FRUITLESS: Final = 20
"""Holes that brought nothing, one after the other, until the next ones are only reported."""


@dataclass
class Walk:
    """The trades of [start_ns, end_ns); `steps` asks, `drain` hands on what came meanwhile.

    `known` is the last trade before the range, its id and when it was, where it is certain that
    all trades before the range are known. `lost` are ids whose trades the exchange does not give;
    the seconds around them are not proven. Neither is what is `unkept`: a range that lies before
    all trades that the exchange gives, of which no id tells whether there was any trade. Where it
    gives no trade at all and none is known, nothing is proven, and nothing is amiss.
    """

    start_ns: int
    end_ns: int
    cap: int = 1000
    by_id: bool = True
    known: tuple[int, int] | None = None
    lost: list[Ids] = field(default_factory=list)
    unkept: list[Range] = field(default_factory=list)
    proven_ns: int = field(init=False)
    _width: int = field(init=False, default=FIRST_WIDTH)
    _asked_ns: int = field(init=False)
    _asks_by_id: bool = field(init=False)
    _last: int | None = field(init=False, default=None)
    _last_ts: int = field(init=False, default=0)
    _standing: bool = field(init=False, default=False)
    """Whether the exchange gave a trade from before the frontier: then it keeps all since."""
    _newest: pl.DataFrame | None = field(init=False, default=None, repr=False)
    _rows: list[pl.DataFrame] = field(init=False, default_factory=list, repr=False)
    _proven: list[Range] = field(init=False, default_factory=list, repr=False)
    _fruitless: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._asks_by_id = self.by_id
        self.proven_ns = self._asked_ns = self.start_ns
        if self.known is not None:
            self._last, self._last_ts = self.known
            self._look_for_the_last()

    def steps(self) -> Plan:
        """Ask until the whole range is proven, but for what is lost or unkept."""
        if self._last is not None and self.by_id and self.proven_ns < self.end_ns:
            yield from self._onwards(self._last)
        while self.proven_ns < self.end_ns:
            if self._standing and self._last is not None and self.by_id:
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
            self._asks_by_id = self._asks_by_id and not self._standing
            self._look_for_the_last()
            return
        self._standing = True
        new = page.filter(ids > last)
        if new.height:
            yield from self._take(new)
        reached = new.height and int(new[-1, "ts"]) < self.end_ns
        self._prove(int(new[-1, "ts"]) if reached else self.end_ns)

    def _look_for_the_last(self) -> None:
        """Begin windows with the last trade: that it comes again proves what follows it."""
        self._standing = False
        self._asked_ns = min(self.proven_ns, self._last_ts)
        self._width = FIRST_WIDTH + _whole_seconds(self.proven_ns - self._asked_ns)

    def _window(self) -> Plan:
        """The trades of the next stretch of time; narrower next time where it was cut.

        What an empty one proves is open until a trade follows, or the range ends.
        """
        start, stop = self._asked_ns, min(self._asked_ns + self._width, self.end_ns)
        page = yield Between(start, stop)
        inside = page.filter(pl.col("ts").is_between(max(start, self.proven_ns), stop - 1))
        cut = page.height >= self.cap
        if cut and self._width > SECOND:
            self._width = _whole_seconds(min(self._width, stop - start) // 4)
            return
        if not self._standing:
            yield from self._begin(page)
            if (self._standing and self.by_id) or self.proven_ns == self.end_ns:
                return
        if inside.height:
            yield from self._take(inside)
        self._asked_ns = max(stop, self.proven_ns)
        if cut and stop > self.proven_ns:
            # one second holds more than a reply, and ids cannot be asked for
            self.lost.append((int(ids_of(page)[0]), int(ids_of(page)[-1])))
            self.proven_ns = stop
            return
        if inside.height or (self._standing and stop == self.end_ns):
            self._prove(stop)
        elif stop == self.end_ns:
            yield from self._end()
        room = 0.6 * self.cap / max(inside.height, 1)
        self._width = _whole_seconds(int(self._width * min(WIDEST, room)))

    def _begin(self, page: pl.DataFrame) -> Plan:
        """Find a trade before the frontier that the exchange gives, starting from a first page.

        Where there is none, the ids say whether anything is missing before the first that it gives.
        """
        if page.is_empty():
            if self._newest is None:
                self._newest = yield Newest()
                self._stand_on(self._newest)
                if self._newest.is_empty():
                    self._give_up(self.end_ns)
            return
        if self._stand_on(page):
            return
        self.by_id = self._asks_by_id
        while self.by_id and not self._standing:
            first = int(ids_of(page)[0])
            earlier = yield After(max(0, first + 1 - self.cap))
            if first not in ids_of(earlier) and not (ids_of(earlier) < first).any():
                self.by_id = False  # it has to show the trade, or older ones
            before = earlier.filter(ids_of(earlier) < first)
            if before.is_empty():
                break
            page = before
            self._stand_on(page)
        if not self._standing and ids_of(page)[0] > 1:
            yield from self._look_back()
        if not self._standing:
            yield from self._begin_with(page)

    def _stand_on(self, page: pl.DataFrame) -> bool:
        """Whether a page shows a trade before the frontier; the walk then goes on from there."""
        last = pl.Series(values=[self._last], dtype=pl.Int64)
        older = page.filter((pl.col("ts") < self.proven_ns) | ids_of(page).is_in(last))
        if older.height:
            self._standing = True
            self._last, self._last_ts = int(ids_of(older)[-1]), int(older[-1, "ts"])
        return self._standing

    def _look_back(self) -> Plan:
        """Ask for windows before the frontier, ever longer ones, until a trade comes."""
        stop, width = self.proven_ns, FIRST_WIDTH
        while stop > 0 and not self._standing:
            page = yield Between(max(0, stop - width), stop)
            if self._stand_on(page) and page.height >= self.cap and not self.by_id:
                self._last = None  # it may not be the last one before the frontier
            stop, width = stop - width, width * WIDEST

    def _begin_with(self, page: pl.DataFrame) -> Plan:
        """Go on from a page that begins with the oldest trade that the exchange gives."""
        first, ts = int(ids_of(page)[0]), int(page[0, "ts"])
        self._standing = True
        self._keep(page)
        last = 0 if self._last is None or self._last >= first else self._last
        if 0 < last < first - 1 and ts < self.end_ns:
            yield from self._hunt((last + 1, first - 1), page)
        elif last < first - 1:
            self._give_up(ts + SECOND)  # of that second, some may be kept no more
        self._last, self._last_ts = first - 1, self.proven_ns

    def _end(self) -> Plan:
        """No window brought a trade; find out whether there was none."""
        yield from self._look_back()
        last = self._last or 0
        later = [] if self._newest is None or self._newest.is_empty() else [self._newest]
        if later and later[0][0, "ts"] < self.end_ns:  # so windows leave out what is kept
            yield from self._begin_with(later[0])
            self._asked_ns = self.proven_ns
            return
        if self._asks_by_id and not self._standing:
            later.append((yield After(last)))
        follows = any(
            page.height and ids_of(page)[0] in (0, 1, last + 1) and page[0, "ts"] >= self.end_ns
            for page in later
        )
        if self._standing or follows:
            self._prove(self.end_ns)
        else:
            self._give_up(self.end_ns)

    def _give_up(self, until_ns: int) -> None:
        """Leave what is not proven up to here, since nothing tells what was traded."""
        until_ns = min(until_ns, self.end_ns)
        if self._last is not None or self._newest is None or self._newest.height:
            self.unkept.append((self.proven_ns, until_ns))
        self.proven_ns = until_ns

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
        hunt = Hunt(*hole, self.cap, self.by_id, since_ns=self._last_ts)
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


def in_words(ranges: Sequence[Range]) -> list[tuple[str, str]]:
    """Ranges of time as people read them."""
    return [(iso(start), iso(end)) for start, end in ranges]


def _whole_seconds(width: int) -> int:
    return max(SECOND, width // SECOND * SECOND)
