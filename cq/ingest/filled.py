"""What became of one symbol's back-fill, as far as bars and trades have it in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from cq.lake import WriteReport

PAGES_A_FILE: Final = 20
"""Pages land together, so that files stay few; a kill loses at most this many requests' answers."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """Counts; `fetched == landed + already_there + rejected` once it has landed.

    `differing` rows are among the rejected: the lake has their key with other values. `asked_ns`
    and `answered_ns` say how much time was to be filled and how much of it is.
    """

    asked_ns: int = 0
    answered_ns: int = 0
    requests: int = 0
    fetched: int = 0
    landed: int = 0
    already_there: int = 0
    rejected: int = 0
    differing: int = 0

    def plus(self, written: WriteReport) -> Self:
        """Counted on by what was written."""
        return replace(
            self,
            landed=self.landed + written.landed,
            already_there=self.already_there + written.already_there,
            rejected=self.rejected + written.rejected,
            differing=self.differing + written.conflicts,
        )


def length(ranges: Sequence[tuple[int, int]], until_ns: int | None = None) -> int:
    """How much time there is in `ranges`, at most up to `until_ns`."""
    if until_ns is not None:
        ranges = [(start, min(end, until_ns)) for start, end in ranges]
    return sum(max(0, end - start) for start, end in ranges)
