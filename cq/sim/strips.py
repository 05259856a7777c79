"""One market's trades, cut into chunks that can be made in any order and forgotten again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Protocol

import numpy as np

from cq.sim.arrays import BarArrays, Ints, TradeArrays, bars_of, bucket
from cq.sim.endless import FIRST_DAY, LAST_DAY, MINUTES, Endless
from cq.sim.listing import Listing
from cq.sim.prints import needed, trades_of
from cq.utils.time import DAY, MINUTE, interval_ns

CHUNK_TRADES: Final = 60_000
"""About so many trades are made at once."""
KEPT_CHUNKS: Final = 4
KEPT_DAYS: Final = 400


class Strip(Protocol):
    """All trades of one market. Chunks are numbered in time order, from 0."""

    listing: Listing
    begin_ns: int
    end_ns: int
    base_ns: int | None
    """The length of the bars that are known without making trades; None where there are none."""

    def chunk_at(self, ts: int) -> int:
        """The chunk that holds the moment, or would."""
        ...

    def chunk_of(self, tid: int, until_ns: int) -> int | None:
        """The chunk that holds the id; None where no trade until then has it."""
        ...

    def starts(self, chunk: int) -> int | None:
        """When the chunk begins; None where there is no such chunk."""
        ...

    def trades(self, chunk: int) -> TradeArrays:
        """The trades of one chunk."""
        ...

    def bars(self, start_ns: int, end_ns: int) -> BarArrays:
        """The whole bars of `base_ns` that open in [start, end)."""
        ...

    def typical_size(self) -> int:
        """A usual trade, in 1e-8."""
        ...


def chunks(strip: Strip, start_ns: int, end_ns: int) -> Iterator[TradeArrays]:
    """The trades with start ≤ ts < end, chunk by chunk."""
    start_ns = max(start_ns, strip.begin_ns)
    if end_ns <= start_ns:
        return
    chunk = strip.chunk_at(start_ns)
    while (begins := strip.starts(chunk)) is not None and begins < end_ns:
        found = strip.trades(chunk).between(start_ns, end_ns)
        if len(found):
            yield found
        chunk += 1


class GeneratedStrip:
    """A market of the endless generator, from `begin_ns` on."""

    base_ns: int | None = MINUTE

    def __init__(self, market: Endless, symbol: str, begin_ns: int) -> None:
        self.market, self.symbol = market, symbol
        self.listing = market.listings[symbol]
        self.first_day = begin_ns // DAY
        self.begin_ns = self.first_day * DAY
        self.end_ns: int = LAST_DAY * DAY
        self._totals = market.totals(symbol)[self.first_day - FIRST_DAY :]
        self._ids = np.concatenate([[1], 1 + np.cumsum(self._totals)])  # the first of each day
        fits = (
            size for size in (MINUTES, 60, 10) if size * market.trades_per_minute <= CHUNK_TRADES
        )
        self.minutes = next(fits, 1)
        self.per_day = MINUTES // self.minutes
        self._day = lru_cache(maxsize=KEPT_DAYS)(self._made_day)
        self._chunk = lru_cache(maxsize=KEPT_CHUNKS)(self._made_chunk)

    def chunk_at(self, ts: int) -> int:
        """Where the moment lies."""
        return (min(ts, LAST_DAY * DAY - 1) - self.begin_ns) // (self.minutes * MINUTE)

    def starts(self, chunk: int) -> int | None:
        """Its first moment."""
        start = self.begin_ns + chunk * self.minutes * MINUTE
        return start if start < LAST_DAY * DAY else None

    def chunk_of(self, tid: int, until_ns: int) -> int | None:
        """Where the id lies."""
        last_day = min((until_ns - self.begin_ns) // DAY, len(self._totals) - 1)
        day = int(np.searchsorted(self._ids, tid, side="right")) - 1
        if not 0 <= day <= last_day:
            return None
        total = int(self._totals[day])
        within = np.cumsum(self.market.counts(self.symbol, self.first_day + day, total))
        minute = int(np.searchsorted(within, tid - self._ids[day], side="right"))
        return day * self.per_day + minute // self.minutes

    def trades(self, chunk: int) -> TradeArrays:
        """Made when asked for, and kept for a while."""
        return self._chunk(chunk)

    def bars(self, start_ns: int, end_ns: int) -> BarArrays:
        """Known without making a trade."""
        start_ns = max(start_ns, self.begin_ns)
        days = range(start_ns // DAY, min(-(-end_ns // DAY), LAST_DAY))
        parts = [self._day(day)[0] for day in days]
        return BarArrays.joined(parts).between(start_ns, end_ns)

    def typical_size(self) -> int:
        """The mean."""
        coin = self.market.coin(self.symbol)
        return max(int(coin.volume / 60 / self.market.trades_per_minute * 1e8), self.listing.lot)

    def _made_day(self, day: int) -> tuple[BarArrays, Ints]:
        return self.market.bars(self.symbol, day, int(self._totals[day - self.first_day]))

    def _made_chunk(self, chunk: int) -> TradeArrays:
        day, part = divmod(chunk, self.per_day)
        bars, counts = self._day(self.first_day + day)
        minute = (bars.ts // MINUTE) % MINUTES
        first, last = np.searchsorted(minute, [part * self.minutes, (part + 1) * self.minutes])
        first_id = int(self._ids[day]) + int(counts[:first].sum())
        random = self.market.random(self.symbol, 4, self.first_day + day, part, self.minutes)
        return trades_of(
            bars[first:last], counts[first:last], MINUTE, first_id, random, self.listing.lot
        )


class BarsStrip:
    """A market of which only bars are known; the trades in them are made up."""

    def __init__(
        self, listing: Listing, bars: BarArrays, interval: str, seed: int, trades_per_bar: float
    ) -> None:
        self.listing, self.seed = listing, seed
        self._length_ns = 28 * DAY if interval == "1M" else interval_ns(interval)
        self.base_ns: int | None = None if interval[-1] in "wM" else self._length_ns
        least = needed(bars)
        self.unsayable = int((least == 0).sum())
        bars, least = bars[least > 0], least[least > 0]
        random = np.random.default_rng([seed, 5])
        wished = 1 + random.poisson(max(trades_per_bar - 1, 0), len(least)).astype(np.int64)
        self._bars = bars
        self._counts = np.minimum(np.maximum(least, wished), bars.volume)
        self._before = np.concatenate([[0], np.cumsum(self._counts)])
        self.size = max(1, int(CHUNK_TRADES / max(trades_per_bar, 4)))
        self.begin_ns = int(bars.ts[0]) if len(bars) else 0
        self.end_ns: int = int(bars.ts[-1]) + self._length_ns if len(bars) else 0
        self._chunk = lru_cache(maxsize=KEPT_CHUNKS)(self._made_chunk)

    def chunk_at(self, ts: int) -> int:
        """Where the moment lies."""
        row = int(np.searchsorted(self._bars.ts, ts, side="right")) - 1
        return max(row, 0) // self.size

    def starts(self, chunk: int) -> int | None:
        """Its first moment."""
        row = chunk * self.size
        return int(self._bars.ts[row]) if 0 <= row < len(self._bars) else None

    def chunk_of(self, tid: int, until_ns: int) -> int | None:
        """Where the id lies."""
        if not 1 <= tid <= self._before[-1]:
            return None
        return (int(np.searchsorted(self._before, tid)) - 1) // self.size

    def trades(self, chunk: int) -> TradeArrays:
        """Made when asked for, and kept for a while."""
        return self._chunk(chunk)

    def bars(self, start_ns: int, end_ns: int) -> BarArrays:
        """Known without making a trade."""
        return self._bars.between(start_ns, end_ns)

    def typical_size(self) -> int:
        """The mean."""
        return max(int(self._bars.volume.sum() / max(int(self._before[-1]), 1)), 1)

    def _made_chunk(self, chunk: int) -> TradeArrays:
        first, last = chunk * self.size, (chunk + 1) * self.size
        random = np.random.default_rng([self.seed, 6, chunk])
        first_id = int(self._before[first]) + 1
        counts = self._counts[first:last]
        return trades_of(self._bars[first:last], counts, self._length_ns, first_id, random)


class TradesStrip:
    """A market whose real trades are known."""

    def __init__(self, listing: Listing, trades: TradeArrays) -> None:
        self.listing, self._trades = listing, trades
        self.base_ns: int | None = MINUTE
        self._first = int(trades.tid[0]) if len(trades) else 1
        self.begin_ns = int(trades.ts[0]) if len(trades) else 0
        self.end_ns: int = int(trades.ts[-1]) + 1 if len(trades) else 0
        self._bars = bars_of(trades, bucket(trades.ts, "1m"))

    def chunk_at(self, ts: int) -> int:
        """Where the moment lies."""
        return 0

    def starts(self, chunk: int) -> int | None:
        """Its first moment."""
        return self.begin_ns if chunk == 0 and len(self._trades) else None

    def chunk_of(self, tid: int, until_ns: int) -> int | None:
        """Where the id lies."""
        return 0 if 0 <= tid - self._first < len(self._trades) else None

    def trades(self, chunk: int) -> TradeArrays:
        """Made when asked for, and kept for a while."""
        return self._trades

    def bars(self, start_ns: int, end_ns: int) -> BarArrays:
        """Known without making a trade."""
        return self._bars.between(start_ns, end_ns)

    def typical_size(self) -> int:
        """The mean."""
        return int(np.median(self._trades.size)) if len(self._trades) else 1
