"""What a stream of an exchange is made of, and what an exchange must offer to be streamed.

Arrivals go in (what a socket brought, opened, closed; what REST gave for a hole), batches come out.
The arrivals of a run, kept in their order, are a recording: the same ones give the same rows again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

TRADES: Final = "trades"
BOOKS: Final = "books"
TICKERS: Final = "tickers"
CHANNELS: Final = (TRADES, BOOKS, TICKERS)
"""What can be streamed, in our words; an exchange has its own."""


TRADE: Final = np.dtype([("id", "i8"), ("ts", "i8"), ("price", "f8"), ("size", "f8"), ("buy", "?")])
"""One trade of a known symbol; `buy` where the taker bought."""

Rows: TypeAlias = NDArray[np.void]
"""An array of TRADE."""


class Frame(NamedTuple):
    """One message as it arrived, byte for byte."""

    received_ns: int
    data: bytes
    session: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A socket is connected and its subscriptions are sent."""

    at_ns: int
    session: str
    channel: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A socket is gone, whoever ended it."""

    at_ns: int
    session: str
    channel: str
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class Hole:
    """Trades that are missing: the ids from `first_id` to `last_id`, both included."""

    symbol: str
    first_id: int
    last_id: int

    def __len__(self) -> int:
        return self.last_id - self.first_id + 1


@dataclass(frozen=True)
class Fill:
    """What REST gave: every trade of [first_id, last_id], columns as in the lake's `trades`.

    An empty range (last_id = first_id - 1) says that there was nothing newer than it. Where `lost`,
    the exchange cannot give what is not among `trades`, and the stream goes on without. Up to
    `seen_ns` of the exchange's time nothing newer than `last_id` had happened. With `newest`, what
    claims a higher id and is not yet in order is no trade of this market.
    """

    at_ns: int
    symbol: str
    first_id: int
    last_id: int
    trades: pl.DataFrame
    lost: bool = False
    seen_ns: int = 0
    newest: int | None = None


@dataclass(frozen=True)
class Seed:
    """An order book from REST, for a market whose socket has said nothing yet."""

    at_ns: int
    symbol: str
    book: pl.DataFrame


Arrival: TypeAlias = Frame | Fill | Seed | Opened | Closed
"""What a recording keeps, in this order."""


@dataclass(frozen=True)
class Batch:
    """What a stream hands on, in columns.

    `trades`, `books` and `tickers` are columns of the lake (tickers: the day's window). A symbol's
    trades come each once, in order of their ids, and nothing is missing before any of them: a hole
    was filled from REST, or is among `lost`. `seen_ns` says, for each symbol whose mark has moved,
    the exchange's time before which no trade is missing any more. The counts are of this batch
    alone.
    """

    trades: pl.DataFrame
    books: pl.DataFrame
    tickers: pl.DataFrame
    seen_ns: dict[str, int] = field(default_factory=dict)
    corrupt: int = 0
    duplicates: int = 0
    reconnects: int = 0
    filled: int = 0
    lost: list[Hole] = field(default_factory=list)


@dataclass(frozen=True)
class Decoded:
    """Frames as columns.

    `trades` holds, for each symbol, an array of TRADE in the order of arrival; `books` and
    `tickers` are as in a Batch. `corrupt` are the frames that could not be read; `notices` what
    else the exchange said: one with a `message` is a refusal.
    """

    trades: Mapping[str, Rows]
    books: pl.DataFrame
    tickers: pl.DataFrame
    corrupt: Sequence[Frame] = ()
    notices: Sequence[Mapping[str, Any]] = ()


class Reader(Protocol):
    """What an exchange's frames mean; pure, so that a recording is read as the stream was."""

    @property
    def name(self) -> str:
        """The exchange's code in the lake."""
        ...

    def read(self, frames: Sequence[Frame]) -> Decoded:
        """The frames in columns; one that is corrupt costs only itself."""
        ...


class Connection(Protocol):
    """The open stream of some symbols: it connects again by itself, for as long as it is used."""

    def take(self) -> list[Frame | Opened | Closed]:
        """What has arrived since the last time, in its order.

        What is not taken stays with the sender in the end: nothing is dropped, memory is bounded.
        """
        ...

    def waiting(self) -> int:
        """How much there is to take."""
        ...

    def renew(self, channel: str, symbol: str) -> None:
        """Subscribe again to what has gone silent."""
        ...


class Feed(Reader, Protocol):
    """An exchange that can be streamed."""

    def connection(
        self, symbols: Sequence[str], channels: Sequence[str], wake: Callable[[], None]
    ) -> AbstractAsyncContextManager[Connection]:
        """A stream of `channels` (some of CHANNELS) of `symbols`; `wake` tells of arrivals."""
        ...


class Missing(Protocol):
    """Where holes are filled from: an exchange's REST (see cq.exchanges.market)."""

    def missing_trades(self, symbol: str, first_id: int, last_id: int) -> pl.DataFrame:
        """All of [first_id, last_id]; raises when the exchange cannot give them."""
        ...

    def trades_after(self, symbol: str, trade_id: int) -> pl.DataFrame:
        """Trades newer than `trade_id`, ascending; a long answer ends early, without a gap."""
        ...

    def newest_trades(self, symbol: str) -> pl.DataFrame:
        """The last trades of a market, ascending."""
        ...

    def book(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        """The order book now, as one row of the lake's `orderbook_l2`."""
        ...

    def time_ns(self, now_ns: int) -> int:
        """What the exchange's clock says at `now_ns`, or a little less."""
        ...
