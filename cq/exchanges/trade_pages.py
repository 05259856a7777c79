"""Which trades to ask an exchange for until it is proven that none is missing; no I/O.

A reply holds so many trades at most (`cap`) and may be cut at either end. Ids are dense in each
market, so neighbouring ids prove that nothing lies between them. What an exchange does when asked
for the trades after an id is not taken on trust either: each such reply has to hold the id that is
known already, else windows of time are asked for, halved until nothing is cut.

A plan is a generator: it yields what to ask for and is sent the trades that came, in the lake's
columns and by rising id.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cq.utils.time import HOUR, SECOND


@dataclass(frozen=True)
class After:
    """The trades that follow an id, oldest first."""

    trade_id: int


@dataclass(frozen=True)
class Between:
    """The trades of [start_ns, end_ns)."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Newest:
    """The last trades there are."""


Ask = After | Between | Newest
Plan = Generator[Ask, pl.DataFrame, None]
Ids = tuple[int, int]
"""First and last of a run of ids, both included."""

FIRST_WIDTH: Final = 6 * HOUR


def ids_of(trades: pl.DataFrame) -> pl.Series:
    """The ids as numbers; null where one is none."""
    return trades["trade_id"].cast(pl.Int64, strict=False)


def holes(ids: pl.Series) -> list[Ids]:
    """The runs of ids that are missing between rising ids."""
    before = ids.shift(1)
    frame = pl.DataFrame({"first": before + 1, "last": ids - 1}).filter(ids - before > 1)
    return list(frame.iter_rows())


def without(runs: Sequence[Ids], ids: pl.Series) -> list[Ids]:
    """What is left of `runs` once `ids` (rising) are taken away."""
    left: list[Ids] = []
    for first, last in runs:
        inside = ids.filter(ids.is_between(first, last))
        edges = pl.concat(
            [pl.Series(values=[first - 1]), inside, pl.Series(values=[last + 1])], how="vertical"
        )
        left += holes(edges)
    return left


@dataclass
class Hunt:
    """All trades of the ids [first, last]: by id, among the newest, then by windows of time.

    None of them was made before `since_ns`. `missing` is what has not come; once `steps` has ended
    it is what the exchange does not give.
    """

    first: int
    last: int
    cap: int = 1000
    by_id: bool = True
    since_ns: int = 0
    missing: list[Ids] = field(init=False)
    rows: pl.DataFrame = field(init=False, default_factory=pl.DataFrame)
    _seen: pl.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.missing = [(max(1, self.first), self.last)] if self.last >= max(1, self.first) else []
        self._seen = pl.DataFrame(schema={"id": pl.Int64, "ts": pl.Int64})

    def steps(self) -> Plan:
        """Ask until nothing is missing or nothing more can be found."""
        if self.by_id:
            yield from self._by_id()
        if not self.missing:
            return
        self.take((yield Newest()))
        hopeless: set[Ids] = set()
        while left := [run for run in self.missing if run not in hopeless]:
            if not (yield from self._by_time(left[0])):
                hopeless.add(left[0])

    def take(self, trades: pl.DataFrame) -> bool:
        """Keep what was missing of a reply; whether there was any."""
        ids = ids_of(trades)
        wanted = pl.any_horizontal(pl.lit(value=False), *(ids_in(run) for run in self.missing))
        found = trades.with_columns(id=ids).filter(wanted).drop("id")
        points = pl.DataFrame({"id": ids, "ts": trades["ts"]})
        self._seen = pl.concat([self._seen, points]).unique("id").sort("id")
        if found.is_empty():
            return False
        self.rows = pl.concat([self.rows, found]) if self.rows.height else found
        self.missing = without(self.missing, ids_of(found))
        return True

    def _by_id(self) -> Plan:
        tried: set[int] = set()
        while runs := [first for first, _ in self.missing if first not in tried]:
            first = runs[0]
            tried.add(first)
            page = yield After(first - 1)
            self.take(page)
            later = ids_of(page).filter(ids_of(page) >= first)
            if page.height >= self.cap and (later.is_empty() or later[0] - first >= self.cap):
                return  # cut at the older end: asking by id leads nowhere here

    def _by_time(self, hole: Ids) -> Generator[Ask, pl.DataFrame, bool]:
        """Close in on a hole by the stamps of the ids around it; whether any of it was found."""
        low, high = self._stamps_around(hole)
        start, stop = low, high
        while start < stop:
            page = yield Between(start, stop)
            if self.take(page):
                return True
            if page.height < self.cap:
                low, high = (stop, high) if start == low else (low, start)
                start, stop = low, high
                continue
            if stop - start <= SECOND:
                return False  # one second holds more trades than a reply
            ids = ids_of(page)
            older, newer = page.filter(ids < hole[0]), page.filter(ids > hole[1])
            low = max(low, older[-1, "ts"]) if older.height else low
            high = min(high, newer[0, "ts"] + SECOND) if newer.height else high
            middle = low + max(SECOND, (high - low) // (2 * SECOND) * SECOND)
            # a page tells of the end that was kept, so that end is put in the middle
            kept_oldest = page[0, "ts"] - start < stop - page[-1, "ts"]
            late = kept_oldest and middle < high
            start, stop = (middle, high) if late else (low, min(middle, high))
        return False

    def _stamps_around(self, hole: Ids) -> tuple[int, int]:
        """From and to when its trades were made, as far as the ids seen tell; empty if not yet."""
        older = self._seen.filter(pl.col("id") < hole[0])
        newer = self._seen.filter(pl.col("id") > hole[1])
        low = int(older[-1, "ts"]) if older.height else self.since_ns
        return low, int(newer[0, "ts"]) + SECOND if newer.height else low


def ids_in(run: Ids) -> pl.Expr:
    """Whether the column `id` lies in a run."""
    return pl.col("id").is_between(*run)
