"""What a stream asks of REST, and when: holes, markets that have gone quiet, books to begin with.

Nothing here reads a clock or a socket; questions are called in threads (see cq.ingest.workers).
Times in seconds are of a clock that only goes forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cq.errors import CqError, NoSuchMarket, Transient, UsageError
from cq.exchanges.feed import BOOKS, TRADES, Arrival, Fill, Hole, Missing, Opened, Seed
from cq.ingest.arrivals import Arrivals
from cq.ingest.questions import filled, looked_at
from cq.ingest.workers import Workers
from cq.utils import log
from cq.utils.settings import Stream
from cq.utils.time import SECOND

PIECE: Final = 1000
"""Ids of a hole that are asked for at a time, so that trades flow while a long one is filled."""

TRIES: Final = 4
"""Times that the exchange may say it does not have what its own ids promise."""

PAUSE_S: Final = 0.5
"""Before a question is asked again; doubled each time."""

LONGEST_PAUSE_S: Final = 30.0

SEED_AFTER_S: Final = 1.0
"""A book that the socket has not sent by then is asked for."""


@dataclass
class _Trouble:
    """What is known of a hole that is not filled yet."""

    since_s: float
    again_s: float
    refusals: int = 0
    failures: int = 0


@dataclass
class Asking:
    """Decides what to ask; keeps at most one question a market under way."""

    core: Arrivals
    market: Missing
    symbols: Sequence[str]
    stream: Stream
    workers: Workers[Arrival | None]
    clock: Callable[[], int]
    wake: Callable[[], None]
    later: Callable[[float], None]
    answers: list[Arrival] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)
    _trouble: dict[tuple[str, int], _Trouble] = field(default_factory=dict)
    _look_s: dict[str, float] = field(default_factory=dict)
    _seeds: dict[str, float] = field(default_factory=dict)
    _seed_failures: dict[str, int] = field(default_factory=dict)
    _seeding: bool = False
    _looking: bool = False
    _begun_ns: int | None = None
    _fatal: Exception | None = None

    def taken(self) -> list[Arrival]:
        """The answers since the last time; what cannot be helped is raised."""
        if self._fatal is not None:
            raise self._fatal
        answers, self.answers = self.answers, []
        return answers

    def heard(self, opened: Sequence[Opened], now_s: float) -> None:
        """Note what the newest arrivals brought: every market is looked at after a connection."""
        quiet_s = self.stream.quiet_seconds
        if self._begun_ns is None:
            self._begun_ns = self.market.time_ns(self.clock())
        for one in opened:
            if one.channel == TRADES:
                for symbol in self.symbols:
                    begun = symbol in self.core.sequences
                    self._look_s[symbol] = now_s + (0.0 if begun else quiet_s)
            elif one.channel == BOOKS:
                self._seeds = dict.fromkeys(self.symbols, now_s + SEED_AFTER_S)
        for symbol, live in self.core.heard.items():
            if live and symbol in self._look_s:
                begun = self.core.sequences[symbol].last is not None
                soon_s = min(self._look_s[symbol], now_s + self.stream.reorder_ms / 1000)
                self._look_s[symbol] = now_s + quiet_s if begun else soon_s

    def doubt(self) -> None:
        """A subscription was refused, and nobody said which: ask after all that brought nothing."""
        for symbol in self.symbols:
            if symbol not in self.core.sequences and symbol in self._look_s:
                self._look_s[symbol] = 0.0

    def look(self, now_s: float, *, tick: bool) -> None:
        """Ask what is due; with `tick` look at quiet markets too, not at holes alone."""
        for symbol in self.core.gapped:
            hole = self.core.sequences[symbol].hole()
            if hole is not None and symbol not in self._busy:
                self._hole(hole, now_s)
        if tick:
            self._quiet(now_s)
            self._seed(now_s)
            for hole_of in [one for one in self._trouble if self._is_over(*one)]:
                del self._trouble[hole_of]

    def _is_over(self, symbol: str, last_id: int) -> bool:
        one = self.core.sequences[symbol]
        return symbol not in self.core.gapped or (one.last or 0) >= last_id

    def _hole(self, hole: Hole, now_s: float) -> None:
        """Ask for a hole, after a grace. It is known by its end: its beginning is on the move."""
        trouble = self._trouble.get((hole.symbol, hole.last_id))
        if trouble is None:
            again_s = now_s + self.stream.reorder_ms / 1000
            trouble = _Trouble(now_s, again_s)
            self._trouble[hole.symbol, hole.last_id] = trouble
            self.later(self.stream.reorder_ms / 1000)
        if now_s < trouble.again_s:
            return
        upto = self.core.sequences[hole.symbol].newest_within(hole.first_id + PIECE - 1)
        late = now_s - trouble.since_s >= self.stream.lost_seconds
        last_try = late or trouble.refusals + 1 >= TRIES

        def question() -> Arrival | None:
            return filled(self.market, hole, upto, self.clock, last_try, at_any_price=late)

        self._ask(hole.symbol, question, now_s, trouble)

    def _quiet(self, now_s: float) -> None:
        """Look at one market at a time, so that holes are not kept waiting behind them.

        A market with a hole is asked for that, however long; the others must not wait for it.
        """
        if self._looking:
            return
        others = self._look_s.keys() - self.core.gapped - self._busy
        due = [(self._look_s[one], one) for one in others if self._look_s[one] <= now_s]
        if not due:
            return
        _, symbol = min(due)
        one = self.core.sequences.get(symbol)
        last = one.last if one is not None else None
        settle_ns = round(self.stream.settle_seconds * SECOND)
        begun_ns = self._begun_ns or 0

        def question() -> Arrival | None:
            return looked_at(self.market, symbol, last, self.clock, settle_ns, begun_ns)

        self._look_s[symbol] = now_s + self.stream.quiet_seconds
        self._looking = True
        self._ask(symbol, question, now_s)

    def _ask(
        self,
        symbol: str,
        question: Callable[[], Arrival | None],
        now_s: float,
        trouble: _Trouble | None = None,
    ) -> None:
        """Ask for a hole that is in `trouble`, or look at a market."""
        self._busy.add(symbol)

        def then(answer: Arrival | Exception | None) -> None:
            self._busy.discard(symbol)
            self._looking = self._looking and trouble is not None
            if isinstance(answer, Exception):
                self._failed(symbol, answer, now_s, trouble)
            elif isinstance(answer, Fill):
                self.answers.append(answer)
                if trouble is not None:
                    trouble.since_s, trouble.refusals, trouble.failures = now_s, 0, 0
                elif answer.last_id >= answer.first_id:
                    self._missed(answer)
            self.wake()

        self.workers.ask(question, then)

    def _missed(self, fill: Fill) -> None:
        """REST knows trades of a market that the socket has not brought: it has gone silent."""
        one = self.core.sequences.get(fill.symbol)
        self._look_s[fill.symbol] = 0.0
        if one is None or one.newest < fill.last_id:
            self.silent.append(fill.symbol)

    def _failed(
        self, symbol: str, error: Exception, now_s: float, trouble: _Trouble | None = None
    ) -> None:
        if isinstance(error, NoSuchMarket | UsageError) or not isinstance(error, CqError):
            self._fatal = error
            return
        if trouble is not None:
            if isinstance(error, Transient):
                trouble.failures += 1
            else:
                trouble.refusals += 1
            trouble.again_s = now_s + pause_s(trouble.failures + trouble.refusals)
        reason = str(error)
        log.event("feed", "ask", level="WARNING", symbol=symbol, status=log.RETRY, reason=reason)

    def _seed(self, now_s: float) -> None:
        for symbol in self.core.booked & self._seeds.keys():
            del self._seeds[symbol]
        due = [symbol for symbol, at_s in self._seeds.items() if at_s <= now_s]
        if self._seeding or not due:
            return
        symbol, self._seeding = due[0], True
        del self._seeds[symbol]

        def question() -> Arrival | None:
            book = self.market.book(symbol, self.stream.book_depth)
            return None if book["ts"].null_count() else Seed(self.clock(), symbol, book)

        def then(answer: Arrival | Exception | None) -> None:
            self._seeding = False
            if isinstance(answer, Exception):
                self._failed(symbol, answer, now_s)
                tries = self._seed_failures[symbol] = self._seed_failures.get(symbol, 0) + 1
                self._seeds[symbol] = now_s + pause_s(tries)
                return
            self._seed_failures.pop(symbol, None)
            if answer is not None:
                self.answers.append(answer)
            self.wake()

        self.workers.ask(question, then)


def pause_s(tries: int) -> float:
    """Before a question is asked again that has failed so many times."""
    return min(PAUSE_S * 2.0 ** (min(tries, 10) - 1), LONGEST_PAUSE_S)
