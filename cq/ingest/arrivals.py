"""From arrivals to batches: the pure heart of a stream, live or replayed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np
import polars as pl

from cq.exchanges.feed import (
    BOOKS,
    TRADE,
    Arrival,
    Batch,
    Closed,
    Fill,
    Frame,
    Hole,
    Opened,
    Reader,
    Rows,
    Seed,
)
from cq.ingest import sequence
from cq.lake.datasets import TRADES, dataset
from cq.utils import log

BOOKS_REMEMBERED: Final = 256
"""Stamps of a market's last books: a repeat of one of them is dropped."""

SLICE: Final = 4096
"""Arrivals of a recording that are taken together."""


@dataclass
class _Gathered:
    """What becomes a batch."""

    trades: list[tuple[str, Rows]] = field(default_factory=list)
    books: list[pl.DataFrame] = field(default_factory=list)
    tickers: list[pl.DataFrame] = field(default_factory=list)
    seen_ns: dict[str, int] = field(default_factory=dict)
    corrupt: int = 0
    duplicates: int = 0
    reconnects: int = 0
    filled: int = 0
    lost: list[Hole] = field(default_factory=list)


class Arrivals:
    """Takes what arrives, hands on each trade once and in order.

    `after` is the last id that is had already, by symbol. `symbols` are those that were asked for:
    what belongs to others is not read (None: all are).
    """

    def __init__(
        self,
        reader: Reader,
        symbols: Iterable[str] | None = None,
        after: Mapping[str, int] | None = None,
    ) -> None:
        self.reader = reader
        self.symbols = None if symbols is None else frozenset(symbols)
        self.sequences: dict[str, sequence.Sequence] = {}
        self.seen_ns: dict[str, int] = {}
        self.heard: dict[str, bool] = {}
        self.booked: set[str] = set()
        self.gapped: set[str] = set()
        self.notices: list[tuple[str, Mapping[str, Any]]] = []
        self._newest: dict[str, int] = {}
        self._stamps: dict[str, dict[int, None]] = {}
        self.opened: set[str] = set()
        self._nothing = (
            dataset("trades").empty(),
            dataset("orderbook_l2").empty(),
        )
        for symbol, last in (after or {}).items():
            self.sequences[symbol] = sequence.Sequence(symbol, last)

    @property
    def held(self) -> int:
        """Trades that wait for others before them."""
        return sum(len(self.sequences[symbol]) for symbol in self.gapped)

    def take(self, arrivals: Sequence[Arrival]) -> Batch:
        """What is known now because of `arrivals`."""
        gathered = _Gathered()
        self.heard.clear()
        self.notices.clear()
        for kind, some in groupby(arrivals, type):
            if kind is Frame:
                self._frames(gathered, list(some))  # type: ignore[arg-type]
                continue
            for one in some:
                match one:
                    case Fill():
                        self._fill(gathered, one)
                    case Seed():
                        self._books(gathered, one.book)
                    case Opened():
                        gathered.reconnects += one.channel in self.opened
                        self.opened.add(one.channel)
                        if one.channel == BOOKS:
                            self.booked.clear()
                    case Closed():
                        pass
        return self._batch(gathered)

    def ended(self, at_ns: int) -> Iterator[Batch]:
        """What waits for trades that never came, when nothing more comes.

        A hole at the end that one trade alone lies behind may be a mangled id: it is let go. So is
        what never had a neighbour to begin with.
        """
        for symbol, one in sorted(self.sequences.items()):
            if one.last is None:
                yield self.take([Fill(at_ns, symbol, 1, 0, TRADES.empty(), newest=0)])
            if one.hole() is not None and (sure := one.newest_confirmed()) is not None:
                yield self.take([Fill(at_ns, symbol, sure, sure, TRADES.empty(), newest=sure)])
            while (hole := one.hole()) is not None:
                ends = (hole.first_id, hole.last_id)
                yield self.take([Fill(at_ns, symbol, *ends, TRADES.empty(), lost=True)])

    def _sequence(self, symbol: str) -> sequence.Sequence:
        if symbol not in self.sequences:
            self.sequences[symbol] = sequence.Sequence(symbol)
        return self.sequences[symbol]

    def _frames(self, gathered: _Gathered, frames: Sequence[Frame]) -> None:
        decoded = self.reader.read(frames)
        for symbol, rows in decoded.trades.items():
            if self.symbols is not None and symbol not in self.symbols:
                gathered.corrupt += len(rows)
                continue
            self.heard[symbol] = True
            self._in_order(gathered, self._sequence(symbol).add(rows), symbol)
        self._books(gathered, decoded.books)
        if len(decoded.tickers):
            gathered.tickers.append(decoded.tickers)
        gathered.corrupt += len(decoded.corrupt)
        if decoded.corrupt:
            frame, more = decoded.corrupt[0], len(decoded.corrupt) - 1
            reason = f"a corrupt frame: {frame.data[:120]!r}" + (f" and {more} more" * bool(more))
            log.event("feed", "corrupt", level="WARNING", reason=reason, session=frame.session)
        session = frames[-1].session
        self.notices += [(session, notice) for notice in decoded.notices]

    def _in_order(self, gathered: _Gathered, rows: Rows, symbol: str) -> None:
        if not len(rows):
            return
        gathered.trades.append((symbol, rows))
        stamps = rows["ts"]
        seen_ns = min(self._newest.get(symbol, 0), int(stamps[0]))
        if len(rows) > 1:
            seen_ns = max(seen_ns, int(np.minimum(stamps[1:], stamps[:-1]).max()))
        self._newest[symbol] = int(stamps[-1])
        self._seen(gathered, symbol, seen_ns)

    def _seen(self, gathered: _Gathered, symbol: str, seen_ns: int) -> None:
        """All trades before that second are there, for their ids are dense.

        It is one that two neighbours reach, or REST vouches for: a mangled stamp moves nothing.
        """
        if seen_ns > self.seen_ns.get(symbol, 0):
            self.seen_ns[symbol] = gathered.seen_ns[symbol] = seen_ns

    def _fill(self, gathered: _Gathered, fill: Fill) -> None:
        one = self._sequence(fill.symbol)
        if one.last is None:
            self._in_order(gathered, one.begin(fill.first_id - 1), fill.symbol)
        rows = rows_of(fill.trades)
        known = one.known(rows)
        one.duplicates -= known
        gathered.filled += len(rows) - known
        self.heard.setdefault(fill.symbol, False)
        self._in_order(gathered, one.add(rows), fill.symbol)
        if fill.lost:
            rows, holes = one.give_up(fill.last_id)
            self._in_order(gathered, rows, fill.symbol)
            gathered.lost += holes
            for hole in holes:
                reason = f"the exchange does not give trades {hole.first_id} to {hole.last_id}"
                log.event("feed", "lost", level="ERROR", symbol=fill.symbol, reason=reason)
        if fill.newest is not None and (wrong := one.forget_beyond(fill.newest)):
            gathered.corrupt += wrong
            reason = f"ids above {fill.newest}, which neither the exchange nor another id confirms"
            log.event("feed", "corrupt", level="WARNING", symbol=fill.symbol, reason=reason)
        if one.last is not None and one.last >= fill.last_id:
            known_ns: int = fill.trades["ts"].max() or 0  # type: ignore[assignment]
            self._seen(gathered, fill.symbol, max(fill.seen_ns, known_ns))

    def _books(self, gathered: _Gathered, books: pl.DataFrame) -> None:
        if not len(books):
            return
        kept = []
        for symbol, ts in zip(books["symbol"], books["ts"], strict=True):
            stamps = self._stamps.setdefault(symbol, {})
            wanted = self.symbols is None or symbol in self.symbols
            kept.append(wanted and ts not in stamps)
            gathered.duplicates += ts in stamps
            stamps[ts] = None
            if len(stamps) > BOOKS_REMEMBERED:
                del stamps[next(iter(stamps))]
            self.booked.add(symbol)
        gathered.books.append(books if all(kept) else books.filter(pl.Series(kept)))

    def _batch(self, gathered: _Gathered) -> Batch:
        duplicates = gathered.duplicates
        for symbol in self.heard:
            one = self.sequences[symbol]
            duplicates += one.duplicates
            one.duplicates = 0
            (self.gapped.discard if one.hole() is None else self.gapped.add)(symbol)
        trades, books = self._nothing
        return Batch(
            frame_of(gathered.trades, self.reader.name) if gathered.trades else trades,
            pl.concat(gathered.books) if gathered.books else books,
            pl.concat(gathered.tickers) if gathered.tickers else pl.DataFrame(),
            gathered.seen_ns,
            gathered.corrupt,
            duplicates,
            gathered.reconnects,
            gathered.filled,
            gathered.lost,
        )


def rows_of(trades: pl.DataFrame) -> Rows:
    """Rows of the lake's `trades`, of one market, as an array of TRADE."""
    rows = np.empty(len(trades), TRADE)
    rows["id"] = trades["trade_id"].cast(pl.Int64).to_numpy()
    rows["buy"] = (trades["side"] == "buy").to_numpy()
    for name in ("ts", "price", "size"):
        rows[name] = trades[name].to_numpy()
    return rows


def frame_of(parts: Sequence[tuple[str, Rows]], exchange: str) -> pl.DataFrame:
    """Arrays of TRADE as rows of the lake's `trades`, each market's together."""
    rows = np.concatenate([part for _, part in parts]) if len(parts) > 1 else parts[0][1]
    columns = {name: np.ascontiguousarray(rows[name]) for name in TRADE.names or ()}
    markets = [_same(symbol, len(part)) for symbol, part in parts]
    return pl.DataFrame(
        [
            *(pl.Series(name, columns[name]) for name in ("ts", "price", "size")),
            _same("buy", len(rows))
            .zip_with(pl.Series(columns["buy"]), _same("sell", len(rows)))
            .alias("side"),
            pl.Series("trade_id", columns["id"]).cast(pl.String),
            (pl.concat(markets) if len(markets) > 1 else markets[0]).alias("symbol"),
            _same(exchange, len(rows)).alias("exchange"),
        ]
    )


def _same(text: str, count: int) -> pl.Series:
    """A column of one text; made directly, since a stream makes thousands of them a second."""
    return pl.Series([text], dtype=pl.String).new_from_index(0, count)


def replayed(
    arrivals: Iterable[Arrival],
    reader: Reader,
    *,
    symbols: Iterable[str] | None = None,
    after: Mapping[str, int] | None = None,
) -> Iterator[Batch]:
    """The batches of a recording: the same arrivals give the same rows, however they are cut."""
    core = Arrivals(reader, symbols, after)
    some: list[Arrival] = []
    for one in arrivals:
        some.append(one)
        if len(some) == SLICE:
            yield core.take(some)
            some = []
    if some:
        yield core.take(some)
