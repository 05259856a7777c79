"""Recordings and captures played into the lake, on the very path that a live stream takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from cq.errors import DataError, UnknownLayout, UsageError
from cq.exchanges.feed import Arrival, Batch, Frame, Reader
from cq.ingest.arrivals import Arrivals
from cq.ingest.closing import Closing
from cq.ingest.files import landed, read_file
from cq.ingest.pieces import Piece, Request
from cq.ingest.recording import SUFFIX, arrivals_in, header_of, is_blank, is_recording
from cq.ingest.rolling import Landed, Rolling, Rotation
from cq.ingest.source import Unrecognised
from cq.ingest.stream import Tally
from cq.lake import Lake
from cq.lake.datasets import ORDERBOOK_L2, TRADES
from cq.utils.time import MINUTE, SECOND, iso

SLICE: Final = 4096
SLICE_NS: Final = 10 * SECOND
"""Arrivals are taken together up to so many, and not across such a mark of their own clock."""

Timed = Iterator[tuple[int, Batch]]
"""Batches, and the instant at which each was complete."""


@dataclass
class Pace:
    """Waits so that `speed` seconds of a recording pass in one; None: as fast as possible."""

    speed: float | None = None
    pause: Callable[[float], None] = time.sleep
    now_s: Callable[[], float] = time.monotonic
    _first: tuple[int, float] | None = None

    def until(self, at_ns: int) -> None:
        """Until it is time for what happened at `at_ns`."""
        if self.speed is None:
            return
        now_s = self.now_s()
        first_ns, first_s = self._first = self._first or (at_ns, now_s)
        left_s = first_s + (at_ns - first_ns) / SECOND / self.speed - now_s
        if left_s > 0:
            self.pause(left_s)


@dataclass
class Playing:
    """Plays into a lake; what has become of all that is in `landed` and `tally`.

    A file that cannot be read, or not to its end, stops no other: `unread` says what is wrong.
    """

    lake: Lake
    rotation: Rotation
    pace: Pace = field(default_factory=Pace)
    told_to_stop: Callable[[], bool] = lambda: False
    landed: Landed = field(default_factory=Landed)
    tally: Tally = field(default_factory=Tally)
    cut: list[Path] = field(default_factory=list)
    unread: list[DataError] = field(default_factory=list)

    def recording(self, run: Sequence[Path], reader_of: Callable[[str], Reader]) -> None:
        """The parts of one recording, in their order; a damaged one up to where it is damaged.

        What comes after it is played as a recording of its own: what lies between nobody knows.
        """
        left = list(run)
        while left:
            unread = len(self.unread)
            self._stretch(left, reader_of)
            if len(self.unread) == unread:
                return

    def _stretch(self, left: list[Path], reader_of: Callable[[str], Reader]) -> None:
        """Play what is `left` of a recording up to the first damage, and take it off."""
        header = header_of(left[0])
        reader = reader_of(str(header.get("exchange")))
        symbols = [str(one) for one in header.get("symbols", ())]
        closings = [Closing(symbol, reader.name) for symbol in symbols]
        source = f"{reader.name} recording"
        whole = header.get("part") == 0
        after = dict(header.get("after", {})) if whole else {}
        batches = played(self._sound(left), reader, symbols, after)
        self._land(batches, closings, source, int(header.get("began", 0)))

    def _sound(self, left: list[Path]) -> Iterator[Arrival]:
        while left:
            path = left.pop(0)
            header = header_of(path)
            last_ns = int(header.get("began", 0))
            try:
                for one in arrivals_in(path, partial(self.cut.append, path)):
                    yield one
                    last_ns = time_of(one)
            except UnknownLayout as error:
                self.unread.append(_with_advice(error, header, last_ns))
                return

    def capture(self, path: Path, asked: Request) -> None:
        """A capture of somebody else; nothing says that it is complete: no bars, no coverage."""
        try:
            pieces = pieces_of(path, asked)
        except DataError as error:
            self.unread.append(error)
            return
        frames: dict[str, pl.DataFrame] = {}
        for name, piece in pieces.items():
            frames[name] = piece.rows
            newest: int = piece.rows.select(pl.col("ts").max().fill_null(0)).item()
            then = replace(asked, dataset=name, now_ns=newest)  # not now: a replay is repeatable
            unread = landed(self.lake, path, Piece(piece.rows.clear(), piece.broken), then)
            self.landed += Landed(trades=unread) if name == TRADES.name else Landed(books=unread)
        self._land(by_time(frames), (), str(path), None)

    def _land(
        self, batches: Timed, closings: Iterable[Closing], source: str, began_ns: int | None
    ) -> None:
        rolling: Rolling | None = None
        at_ns = began_ns or 0
        try:
            for at_ns, batch in batches:
                self.pace.until(at_ns)
                if self.told_to_stop():
                    break
                if rolling is None:
                    rolling = Rolling(
                        self.lake, closings, source=source, rotation=self.rotation,
                        now_ns=at_ns if began_ns is None else began_ns,
                    )  # fmt: skip
                self.tally.add(batch)
                rolling.add(batch)
                if rolling.due(at_ns):
                    self._rotate(rolling, at_ns)
            if rolling is not None:
                self._rotate(rolling, at_ns, last=True)
        finally:  # what landed before an error is told with it
            if rolling is not None:
                self.landed += rolling.landed

    def _rotate(self, rolling: Rolling, at_ns: int, *, last: bool = False) -> None:
        load = rolling.take(at_ns)
        self.tally.count(load)
        rolling.write(load, at_ns, last=last)


def _with_advice(error: UnknownLayout, header: Mapping[str, Any], last_ns: int) -> DataError:
    """The same, and what fetches the trades that stood behind the damage."""
    symbols = " ".join(header.get("symbols", ())) or "SYMBOL"
    since = iso((last_ns // MINUTE - 1) * MINUTE)  # a trade is told a little after it was made
    command = f"`cq lake ingest {symbols} --dataset trades --since {since}`"
    return UnknownLayout(error.path, f"{error.problem}; {command} fetches the trades after it")


def played(
    arrivals: Iterable[Arrival], reader: Reader, symbols: Sequence[str], after: Mapping[str, int]
) -> Timed:
    """The batches of one recording; at its end what waits for trades that never came is let go."""
    core, at_ns = Arrivals(reader, symbols or None, after), 0
    for some in slices(arrivals):
        at_ns = max(at_ns, *(time_of(one) for one in some))
        yield at_ns, core.take(some)
    for batch in core.ended(at_ns):
        yield at_ns, batch


def slices(arrivals: Iterable[Arrival]) -> Iterator[list[Arrival]]:
    """Arrivals cut by their own clock and number alone, so that every replay cuts them alike."""
    some: list[Arrival] = []
    mark = 0
    for one in arrivals:
        here = time_of(one) // SLICE_NS
        if some and (here != mark or len(some) == SLICE):
            yield some
            some = []
        mark = here
        some.append(one)
    if some:
        yield some


def time_of(one: Arrival) -> int:
    """When it arrived."""
    return one.received_ns if isinstance(one, Frame) else one.at_ns


def runs_in(paths: Iterable[Path]) -> tuple[list[list[Path]], list[Path]]:
    """Recordings, each as its parts in their order, and the files that are none.

    A folder stands for the recordings in it. Those that a kill left without a line are left out.
    """
    parts: dict[str, list[tuple[int, int, str, Path]]] = {}
    others: list[Path] = []
    for path in paths:
        found = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not found:
            raise UsageError(
                f"{path} holds no recording; expected files ending in {SUFFIX}; captures of "
                f"others are named one by one: `cq lake replay {path}/FILE`"
            )
        for one in found:
            if one.is_file() and not is_recording(one):
                if not is_blank(one):
                    others.append(one)
                continue
            header = header_of(one)
            run = str(header.get("run", one))
            number, began_ns = int(header.get("part", 0)), int(header.get("began", 0))
            parts.setdefault(run, []).append((number, began_ns, one.name, one))
    # By their numbers: a clock that was set back makes a later part begin before an earlier one.
    runs = sorted((sorted(some) for some in parts.values()), key=lambda some: some[0][1:])
    return [[path for *_, path in some] for some in runs], others


def pieces_of(path: Path, asked: Request) -> dict[str, Piece]:
    """What a capture holds, by dataset, as `cq lake import` reads it."""
    found: dict[str, Piece] = {}
    problem: UnknownLayout | None = None
    for name in (TRADES.name, ORDERBOOK_L2.name):
        try:
            _, piece = read_file(path, replace(asked, dataset=name))
        except UnknownLayout as error:
            problem = problem or error
            continue
        if piece.rows.height or piece.broken.height:
            found[name] = piece
    if not found:
        raise _no_capture(path, problem)
    return found


def _no_capture(path: Path, problem: UnknownLayout | None) -> UnknownLayout:
    """Why nothing of a file can be played; its advice may be options that an import alone has."""
    if problem is None:
        return UnknownLayout(path, "holds neither trades nor books")
    if isinstance(problem, Unrecognised):
        said = f"is no recording, and as a capture it {problem.found}"
        advice = f"`cq lake import {path} --dataset trades` says how to describe it"
        return UnknownLayout(path, f"{said}; {advice}")
    advice = "what `cq lake replay --help` does not name are options of `cq lake import`"
    return UnknownLayout(path, f"{problem.problem}; {advice}")


def by_time(frames: dict[str, pl.DataFrame]) -> Timed:
    """Rows of several datasets in the order of their stamps, a batch for every ten seconds."""
    apart = {
        name: {
            int(mark): part
            for (mark,), part in rows.sort("ts", maintain_order=True)
            .with_columns(mark=pl.col("ts") // SLICE_NS)
            .partition_by("mark", as_dict=True, include_key=False, maintain_order=True)
            .items()
        }
        for name, rows in frames.items()
    }
    nothing = {TRADES.name: TRADES.empty(), ORDERBOOK_L2.name: ORDERBOOK_L2.empty()}
    for mark in sorted({mark for parts in apart.values() for mark in parts}):
        here = {name: parts[mark] for name, parts in apart.items() if mark in parts}
        trades, books = (
            here[name].select(*empty.columns) if name in here else empty
            for name, empty in nothing.items()
        )
        newest = max(int(rows["ts"][-1]) for rows in here.values())
        yield newest, Batch(trades, books, pl.DataFrame())
