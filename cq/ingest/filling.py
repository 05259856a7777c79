"""What a stream asks of REST, and when: holes, markets that have gone quiet, books to begin with.

Nothing here reads a clock or a socket; questions are called in threads (see cq.ingest.workers).
Times in seconds are of a clock that only goes forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cq.errors import CqError, NoSuchMarket, TradesMissing, Transient, UsageError
from cq.exchanges.feed import BOOKS, TRADES, Arrival, Fill, Hole, Missing, Opened, Seed
from cq.ingest.arrivals import Arrivals
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
    _seeding: bool = False
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
        for one in opened:
            if one.channel == TRADES:
                for symbol in self.symbols:
                    begun = symbol in self.core.sequences
                    self._look_s[symbol] = now_s + (0.0 if begun else quiet_s)
            elif one.channel == BOOKS:
                self._seeds = dict.fromkeys(self.symbols, now_s + SEED_AFTER_S)
        for symbol, live in self.core.heard.items():
            if live and symbol in self._look_s:
                self._look_s[symbol] = now_s + quiet_s

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
        """Look at one market at a time, so that holes are not kept waiting behind them."""
        if self._busy:
            return
        due = [(at_s, one) for one, at_s in self._look_s.items() if at_s <= now_s]
        if not due:
            return
        _, symbol = min(due)
        if symbol in self.core.gapped:
            return
        one = self.core.sequences.get(symbol)
        last = one.last if one is not None else None
        settle_ns = round(self.stream.settle_seconds * SECOND)

        def question() -> Arrival | None:
            return looked_at(self.market, symbol, last, self.clock, settle_ns)

        self._look_s[symbol] = now_s + self.stream.quiet_seconds
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
        if one is not None and one.last is not None and one.last < fill.last_id:
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
            tries = min(trouble.failures + trouble.refusals, 10)
            trouble.again_s = now_s + min(PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S)
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
            elif answer is not None:
                self.answers.append(answer)
            self.wake()

        self.workers.ask(question, then)


def looked_at(
    market: Missing, symbol: str, last: int | None, clock: Callable[[], int], settle_ns: int
) -> Fill | None:
    """What happened after the id `last`; without one, where a market is that brought nothing yet.

    Only an empty answer says how far the market is known: a full one may have been cut.
    """
    asked_ns = clock()
    if last is None:
        newest = market.newest_trades(symbol)
        if newest.is_empty():
            return None
        last, rows = _newest_id(newest), newest.clear()
    else:
        rows = market.trades_after(symbol, last)
    seen_ns = 0 if len(rows) else market.time_ns(asked_ns) - settle_ns
    newest_id = max(last, _newest_id(rows)) if len(rows) else last
    return Fill(clock(), symbol, last + 1, newest_id, rows, seen_ns=seen_ns)


def filled(
    market: Missing,
    hole: Hole,
    upto: int,
    clock: Callable[[], int],
    give_up: bool = False,
    *,
    at_any_price: bool = False,
) -> Fill:
    """The trades of a hole up to the id `upto`, which may lie behind more holes beyond it.

    The exchange's error where it cannot give them. With `give_up` they are lost then; unless
    the exchange does not know the trade after the hole either, which then was none. An answer that
    stays away counts as lost only with `at_any_price`.
    """
    symbol, first = hole.symbol, hole.first_id
    last = min(hole.last_id, upto)
    try:
        rows = market.missing_trades(symbol, first, upto)
    except Transient:
        if not at_any_price:
            raise
        return Fill(clock(), symbol, first, last, _no_trades(), lost=True)
    except (UsageError, NoSuchMarket):
        raise
    except CqError as refused:
        if not give_up:
            raise
        known = market.newest_trades(symbol)
        newest = _newest_id(known) if len(known) else first - 1
        found = refused.found if isinstance(refused, TradesMissing) else None
        parts = [known] if found is None else [found, known]
        rows = pl.concat(parts).unique("trade_id", keep="first", maintain_order=True)
        if newest <= hole.last_id:
            inside = _inside(rows, first, newest)
            return Fill(clock(), symbol, first, first - 1, inside, newest=max(newest, first - 1))
        return Fill(clock(), symbol, first, last, _inside(rows, first, last), lost=True)
    return Fill(clock(), symbol, first, upto, rows)


def _newest_id(rows: pl.DataFrame) -> int:
    return int(rows["trade_id"].cast(pl.Int64).max())  # type: ignore[arg-type]


def _inside(rows: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    return rows.filter(pl.col("trade_id").cast(pl.Int64).is_between(first, last))


def _no_trades() -> pl.DataFrame:
    from cq.lake.datasets import dataset

    return dataset("trades").empty()
