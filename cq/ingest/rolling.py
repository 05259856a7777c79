"""A stream's rows into the lake, a file at a time: trades, then bars, and last what they cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cq.exchanges.feed import Batch, Hole
from cq.ingest.closing import Closing
from cq.lake import Lake, WriteReport
from cq.lake.datasets import COVERAGE, OHLCV, ORDERBOOK_L2, TRADES
from cq.lake.rules import TRADE_RULES, keeps
from cq.utils.time import HOUR, is_over

FAN: Final = 32
"""So many frames of one size become one: thousands of small ones would cost more than the rows."""

COVER_EVERY_NS: Final = HOUR
"""Coverage is told this often and at the end: after a crash what lies between is counted by ids."""


LOCKED_S: Final = 60.0
"""A back-fill of the same market may hold its lock for a while."""


class Pile:
    """Frames gathered as they come, in order."""

    def __init__(self) -> None:
        self.rows = 0
        self._levels: list[list[pl.DataFrame]] = []

    def add(self, frame: pl.DataFrame) -> None:
        """One more."""
        if frame.is_empty():
            return
        self.rows += frame.height
        self._push(frame, 0)

    def _push(self, frame: pl.DataFrame, level: int) -> None:
        if level == len(self._levels):
            self._levels.append([])
        here = self._levels[level]
        here.append(frame)
        if len(here) == FAN:
            merged = pl.concat(here, rechunk=True)
            here.clear()
            self._push(merged, level + 1)

    def take(self) -> pl.DataFrame | None:
        """All of them as one; the pile is empty then."""
        frames = [one for level in reversed(self._levels) for one in level]
        self.rows, self._levels = 0, []
        return pl.concat(frames) if frames else None


@dataclass(frozen=True)
class Rotation:
    """When what is held goes to the lake: after so long, or as soon as it is so many rows."""

    every_ns: int
    rows: int


@dataclass(frozen=True)
class Load:
    """What goes to the lake together."""

    trades: pl.DataFrame | None = None
    books: pl.DataFrame | None = None
    seen_ns: Mapping[str, int] = field(default_factory=dict)
    lost: tuple[Hole, ...] = ()


@dataclass(frozen=True)
class Landed:
    """What became of everything so far; `late` trades came after the bar they belong to."""

    trades: WriteReport = field(default_factory=WriteReport)
    bars: WriteReport = field(default_factory=WriteReport)
    books: WriteReport = field(default_factory=WriteReport)
    late: int = 0
    rotations: int = 0

    def __add__(self, other: Landed) -> Landed:
        """Both together."""
        return Landed(
            self.trades + other.trades,
            self.bars + other.bars,
            self.books + other.books,
            self.late + other.late,
            self.rotations + other.rotations,
        )


class Rolling:
    """Holds the rows of a stream until they are due, and writes them; it may `add` while it writes.

    Reads no clock: the same batches at the same instants give the same files, byte for byte.
    """

    def __init__(
        self,
        lake: Lake,
        closings: Iterable[Closing],
        *,
        source: str,
        rotation: Rotation,
        now_ns: int,
    ) -> None:
        self.lake, self.source, self.rotation = lake, source, rotation
        self.closings = {one.symbol: one for one in closings}
        self.landed = Landed()
        self._began_ns, self._covered_ns = now_ns, now_ns
        self._trades, self._books = Pile(), Pile()
        self._levels, self._seen, self._lost = 0, dict[str, int](), list[Hole]()

    @property
    def held(self) -> int:
        """Rows that wait; a book counts as its levels."""
        return self._trades.rows + self._levels

    def add(self, batch: Batch) -> None:
        """Hold what a batch brought."""
        self._trades.add(batch.trades)
        if batch.books.height:
            self._books.add(batch.books)
            self._levels += levels(batch.books)
        for symbol, seen in batch.seen_ns.items():
            self._seen[symbol] = max(seen, self._seen.get(symbol, 0))
        self._lost.extend(batch.lost)

    def due_ns(self) -> int:
        """When the time is up."""
        return self._began_ns + self.rotation.every_ns

    def due(self, now_ns: int) -> bool:
        """Whether what is held should be written now."""
        enough = self.held >= self.rotation.rows
        return enough or is_over(self._began_ns, self.rotation.every_ns, now_ns)

    def take(self, now_ns: int) -> Load:
        """Hand over what is held, and begin anew."""
        self._began_ns = now_ns
        load = Load(self._trades.take(), self._books.take(), self._seen, tuple(self._lost))
        self._levels, self._seen, self._lost = 0, {}, []
        return load

    def write(self, load: Load, now_ns: int, *, last: bool = False) -> Landed:
        """Land a load: coverage never before the rows it speaks of, bars never before their trades.

        One at a time, in their order. With `last`, what is covered is told in any case.
        """
        before = self.landed
        trades = before.trades + self._land(TRADES.name, load.trades, now_ns)
        books = before.books + self._land(ORDERBOOK_L2.name, load.books, now_ns)
        bars = before.bars + self._land(OHLCV.name, self._bars(load), now_ns)
        if last or is_over(self._covered_ns, COVER_EVERY_NS, now_ns):
            self._cover(now_ns)
        late = sum(one.late for one in self.closings.values())
        self.landed = Landed(trades, bars, books, late, before.rotations + 1)
        return self.landed

    def _land(self, dataset: str, rows: pl.DataFrame | None, now_ns: int) -> WriteReport:
        if rows is None or rows.is_empty():
            return WriteReport()
        return self.lake.write(dataset, rows, source=self.source, now_ns=now_ns, wait_s=LOCKED_S)

    def _bars(self, load: Load) -> pl.DataFrame:
        parts: dict[str, pl.DataFrame] = {}
        if load.trades is not None:
            good = load.trades.filter(keeps(load.trades, TRADE_RULES))
            apart = good.partition_by("symbol", as_dict=True)
            parts = {str(symbol): rows for (symbol,), rows in apart.items()}
        bars = [
            closing.take(
                parts.get(symbol),
                load.seen_ns.get(symbol, 0),
                [hole for hole in load.lost if hole.symbol == symbol],
            )
            for symbol, closing in self.closings.items()
        ]
        return pl.concat(bars) if bars else OHLCV.empty()

    def _cover(self, now_ns: int) -> None:
        """Tell the lake what is known now."""
        self._covered_ns = now_ns
        rows = [one.covered(now_ns, self.source) for one in self.closings.values()]
        self._land(COVERAGE.name, pl.concat(rows) if rows else None, now_ns)


def levels(books: pl.DataFrame) -> int:
    """How many levels books have, both sides together."""
    return int(
        books.select(pl.col("bids").list.len().sum() + pl.col("asks").list.len().sum()).item()
    )
