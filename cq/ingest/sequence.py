"""The trades of one market put in order by their ids, which are dense: each once, none missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cq.exchanges.feed import TRADE, Hole, Rows

NONE: Rows = np.empty(0, TRADE)

NEAR: Final = 100
"""Trades that overtake each other lie closer than this; what lies farther off is mangled."""


@dataclass
class Sequence:
    """Hands trades on in order of their ids; what comes too early waits for what is before it.

    `last` is the id handed on last. Without one the sequence begins when two ids in a row have
    come, or where `begin` says, with what lies shortly before: one alone may be mangled, and beside
    it all that is real would be old, or millions missing. Of two trades with one id the first to
    arrive counts: the outcome depends on the order of arrival, not on how it was cut into pieces.
    """

    symbol: str
    last: int | None = None
    duplicates: int = 0
    _waiting: list[Rows] = field(default_factory=list)
    _held: int = 0
    _lowest: int = 0

    def __len__(self) -> int:
        """How many trades wait."""
        return self._held

    def hole(self) -> Hole | None:
        """What is missing before the first trade that waits."""
        if not self._waiting or self.last is None:
            return None
        return Hole(self.symbol, self.last + 1, self._lowest - 1)

    @property
    def newest(self) -> int:
        """The highest id that was handed on or waits; 0 without one."""
        return max([self.last or 0, *(int(part["id"].max()) for part in self._waiting)])

    def newest_within(self, last_id: int) -> int:
        """The highest id up to `last_id` that waits, or that is missing before the first one."""
        ids = np.concatenate([part["id"] for part in self._waiting])
        near = ids[ids <= last_id]
        return int(near.max()) if len(near) else min(last_id, self._lowest - 1)

    def add(self, rows: Rows) -> Rows:
        """Take trades in any order; the ones that are in order now."""
        if not len(rows):
            return NONE
        ids = rows["id"]
        if self.last is None:
            self._keep(np.concatenate([*self._waiting, rows]))
            first = _begins(self._waiting[0]["id"])
            return NONE if first is None else self._from(first)
        if not self._waiting and ids[0] == self.last + 1 and _dense(ids):
            self.last = int(ids[-1])
            return rows
        fresh = rows[ids > self.last]
        self.duplicates += len(rows) - len(fresh)
        if not len(fresh):
            return NONE
        lowest = int(fresh["id"].min())
        self._lowest = min(lowest, self._lowest) if self._waiting else lowest
        self._waiting.append(fresh)
        self._held += len(fresh)
        return self._in_order() if self._lowest == self.last + 1 else NONE

    def begin(self, last: int) -> Rows:
        """Begin after the id `last`, which REST vouches for, or with what waits shortly before."""
        ids = np.concatenate([NONE, *self._waiting])["id"]
        near = ids[(ids <= last) & (ids > last - NEAR)]
        return self._from(int(near.min()) if len(near) else last + 1)

    def _from(self, first: int) -> Rows:
        self.last = first - 1
        if not self._waiting:
            return NONE
        rows = np.concatenate(self._waiting)
        fresh = rows[rows["id"] >= first]
        self.duplicates += len(rows) - len(fresh)
        self._keep(fresh)
        return self._in_order() if self._lowest == first else NONE

    def known(self, rows: Rows) -> int:
        """How many of `rows` are here already, handed on or waiting."""
        old = rows["id"] <= (self.last or 0)
        for part in self._waiting:
            old |= np.isin(rows["id"], part["id"])
        return int(old.sum())

    def give_up(self, upto: int) -> tuple[Rows, list[Hole]]:
        """Go on without what is missing up to the id `upto`; what is in order now, and the holes.

        The holes are those of the whole range up to `upto`, whether or not a trade waits beyond.
        """
        parts: list[Rows] = []
        holes: list[Hole] = []
        while self.last is not None and self.last < upto:
            waits = self._lowest - 1 if self._waiting else upto
            if (end := min(waits, upto)) > self.last:
                holes.append(Hole(self.symbol, self.last + 1, end))
                self.last = end
            if self._waiting and self._lowest == self.last + 1:
                parts.append(self._in_order())
        if self._waiting and self.last is not None and self._lowest == self.last + 1:
            parts.append(self._in_order())
        return (np.concatenate(parts) if parts else NONE), holes

    def newest_confirmed(self) -> int | None:
        """The highest id that waits beside another one; the one handed on last where none does."""
        if not self._waiting:
            return self.last
        ids = np.unique(np.concatenate([part["id"] for part in self._waiting]))
        beside = ids[1:][np.diff(ids) == 1]
        return int(beside[-1]) if len(beside) else self.last

    def forget_beyond(self, newest: int) -> int:
        """Drop what waits with an id above `newest`; how many those were."""
        if not self._waiting:
            return 0
        rows = np.concatenate(self._waiting)
        kept = rows[rows["id"] <= newest]
        self._keep(kept)
        return len(rows) - len(kept)

    def _in_order(self) -> Rows:
        assert self.last is not None
        rows = np.concatenate(self._waiting)
        rows = rows[np.argsort(rows["id"], kind="stable")]
        ids = rows["id"]
        first = np.ones(len(rows), bool)
        np.not_equal(ids[1:], ids[:-1], out=first[1:])
        rows = rows[first]
        self.duplicates += len(first) - len(rows)
        gaps = np.flatnonzero(rows["id"] - (self.last + 1) != np.arange(len(rows)))
        cut = int(gaps[0]) if len(gaps) else len(rows)
        self.last += cut
        self._keep(rows[cut:])
        return rows[:cut]

    def _keep(self, rows: Rows) -> None:
        self._waiting = [rows] if len(rows) else []
        self._held = len(rows)
        self._lowest = int(rows["id"].min()) if len(rows) else 0


def _begins(ids: np.ndarray) -> int | None:
    """The lowest id near the first ones, in their order of arrival, that are neighbours."""
    known, came = np.unique(ids, return_index=True)
    beside = np.diff(known) == 1
    if not beside.any():
        return None
    both = np.maximum(came[:-1], came[1:])[beside].min()
    early = ids[: both + 1]
    return int(early[early > ids[both] - NEAR].min())


def _dense(ids: np.ndarray) -> bool:
    return bool((np.diff(ids) == 1).all())
