"""Where time is cut: stretches to choose parameters on, and others to see what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np

from cq.backtest.intents import Ints
from cq.errors import UsageError
from cq.utils.time import interval_ns


@dataclass(frozen=True)
class Fold:
    """Parameters are chosen on bars that open in [train_start, train_end), and tried on
    [test_start, test_end)."""

    train_start: int
    train_end: int
    test_start: int
    test_end: int


def length_of(said: str | int, interval: str, option: str) -> int:
    """A length of time: `90d`, `26w`, or so many bars."""
    try:
        bars = int(said)
    except ValueError:
        try:
            return interval_ns(str(said))
        except UsageError:
            raise UsageError(
                f"{option} {said}: expected a length such as 90d or 26w, or a number of bars"
            ) from None
    if bars < 1:
        raise UsageError(f"{option} {said}: expected at least one bar")
    return bars * interval_ns(interval)


def walk(first: int, end: int, train: int, test: int, purge: int, *, anchored: bool) -> list[Fold]:
    """Folds one after the other over [first, end): each test begins where the one before ended.

    `purge` is cut off the end of what is chosen on. The last test may be shorter than the others.
    """
    if purge >= train:
        raise UsageError(
            "the bars that signals look back on are cut off the end of --train, and nothing is "
            "left of it; take a longer one, or --purge 0"
        )
    if first + train >= end:
        raise UsageError("--train is as long as all there is; nothing is left to test on")
    return [
        Fold(first if anchored else start - train, start - purge, start, min(start + test, end))
        for start in range(first + train, end, test)
    ]


def purged(folds: list[Fold], markets: Sequence[Ints], bars: int) -> list[Fold]:
    """The folds without what their tests look back on: the last `bars` bars before each test, of
    every market that goes on in it. A market's bars open at moments in order."""

    def seen_from(ts: Ints, one: Fold) -> int:
        first, last = np.searchsorted(ts, (one.test_start, one.test_end))
        return int(ts[max(first - bars, 0)]) if first < last else one.train_end

    return [
        replace(one, train_end=min([one.train_end, *(seen_from(ts, one) for ts in markets)]))
        for one in folds
    ]


def with_bars(folds: list[Fold], ts: Ints) -> list[Fold]:
    """Those folds that have bars in both of their stretches, of bars that open at `ts` in order."""

    def has(start: int, end: int) -> bool:
        first, last = np.searchsorted(ts, (start, end))
        return bool(last > first)

    return [
        one
        for one in folds
        if has(one.train_start, one.train_end) and has(one.test_start, one.test_end)
    ]


@dataclass(frozen=True)
class Groups:
    """Bars cut into `count` groups of equal number, of which `tested` are set aside at a time."""

    count: int
    tested: int

    @classmethod
    def of(cls, text: str) -> Groups:
        """`6:2`: six groups, two of them tested at a time."""
        parts = text.split(":")
        if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
            raise UsageError(f"--cpcv {text}: expected GROUPS:TESTED, such as 6:2")
        count, tested = (int(part) for part in parts)
        if not (0 < tested < count and comb(count, tested) <= 5_000):
            raise UsageError(
                f"--cpcv {text}: expected fewer groups tested than there are, and at most 5,000 "
                "choices of them"
            )
        return cls(count, tested)

    @property
    def splits(self) -> list[tuple[int, ...]]:
        """Each choice of groups that are tested."""
        return list(combinations(range(self.count), self.tested))

    @property
    def paths(self) -> int:
        """How many histories can be put together of the tests: each group is tested so often."""
        return comb(self.count, self.tested) * self.tested // self.count

    def edges(self, size: int) -> Ints:
        """Where the groups of `size` bars begin and end."""
        return np.arange(self.count + 1, dtype=np.int64) * size // self.count

    def looked_back_on(self, ts: Ints, markets: Sequence[Ints], bars: int) -> Ints:
        """Of each group, where the bars end whose signals look back on it: `bars` bars of every
        market that was open in the group. Bars open at `ts`, those of a market at some of them."""
        edges = self.edges(ts.size)
        ends, starts, nexts = edges[1:].copy(), ts[edges[:-2]], ts[edges[1:-1]]
        for own in markets:
            first, last = np.searchsorted(own, starts), np.searchsorted(own, nexts)
            there = first < last
            furthest = own[np.minimum(last[there] + bars, own.size) - 1]
            reached = np.searchsorted(ts, furthest, side="right")
            ends[:-1][there] = np.maximum(ends[:-1][there], reached)
        return ends

    def left_out(self, split: tuple[int, ...], ends: Ints, edges: Ints) -> list[tuple[int, int]]:
        """Which bars outside of the tested groups are not chosen on: (tested, other), where the
        bars that look back on the tested group reach into the other."""
        found = []
        for other in range(self.count):
            before = [group for group in split if group < other]
            if other in split or not before:
                continue
            furthest = max(before, key=lambda group: ends[group])
            if ends[furthest] > edges[other]:
                found.append((furthest, other))
        return found
