"""Trades and bars as columns of whole numbers: prices in ticks, sizes in 1e-8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from cq.utils.time import DAY, interval_ns

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BUY, SELL = 1, -1
_MONDAY_NS = 4 * DAY  # 1970-01-05
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class _Columns:
    def __len__(self) -> int:
        return len(self.ts)  # type: ignore[attr-defined]

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_] | Ints) -> Self:
        return type(self)(*(getattr(self, one.name)[rows] for one in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        names = [one.name for one in fields(cls)]
        if not parts:
            return cls(*(_NONE for _ in names))
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))

    def between(self, start_ns: int, end_ns: int) -> Self:
        """The rows with start ≤ ts < end."""
        first, last = np.searchsorted(self.ts, [start_ns, end_ns])  # type: ignore[attr-defined]
        return self[first:last]


@dataclass(frozen=True)
class TradeArrays(_Columns):
    """Trades, oldest first; `tid` rises by one, `side` is the taker's: 1 buys, −1 sells."""

    ts: Ints
    tid: Ints
    price: Ints
    size: Ints
    side: Ints


@dataclass(frozen=True)
class BarArrays(_Columns):
    """Bars, oldest first, by their opening time; buckets without a trade are not there."""

    ts: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints


def bucket(ts: Ints, interval: str, week_starts: str = "monday") -> Ints:
    """When the bars of `interval` open that the instants fall into."""
    if interval == "1M":
        months = ts.astype("datetime64[ns]").astype("datetime64[M]")
        return months.astype("datetime64[ns]").astype(np.int64)
    length = interval_ns(interval)
    anchor = _MONDAY_NS if interval.endswith("w") and week_starts == "monday" else 0
    return (ts - anchor) // length * length + anchor


def bars_of(trades: TradeArrays, opens: Ints) -> BarArrays:
    """The bars that `trades` make, where each belongs to the bar that opens at its `opens`."""
    first = _firsts(opens)
    if not len(first):
        return BarArrays.joined([])
    last = np.append(first[1:], len(opens)) - 1
    return BarArrays(
        opens[first],
        trades.price[first],
        np.maximum.reduceat(trades.price, first),
        np.minimum.reduceat(trades.price, first),
        trades.price[last],
        np.add.reduceat(trades.size, first),
    )


def coarser(bars: BarArrays, opens: Ints) -> BarArrays:
    """Bars made of finer ones, where each belongs to the one that opens at its `opens`."""
    first = _firsts(opens)
    if not len(first):
        return BarArrays.joined([])
    last = np.append(first[1:], len(opens)) - 1
    return BarArrays(
        opens[first],
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
    )


def _firsts(opens: Ints) -> Ints:
    """Where a new bar begins."""
    if not len(opens):
        return _NONE
    return np.flatnonzero(np.append(True, opens[1:] != opens[:-1])).astype(np.int64)
