"""What the exchange's clock says, from the stamps in its replies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cq.utils.time import MINUTE, SECOND

FORGET_NS: Final = 5 * MINUTE
"""Clocks drift apart, so what a stamp said counts for this long, twice at most."""


@dataclass
class ExchangeClock:
    """How far the exchange's clock is ahead of ours: a lower bound, never late.

    A stamp is older than its arrival, so each one says how far ahead that clock is at least; the
    largest of the last minutes is the nearest. A `Date`, cut to seconds, says besides how far it
    can be at most, which takes back what a clock that was set meanwhile, or a stamp that was
    garbage, had said before.
    """

    offset_ns: int | None = None
    _at_most_ns: int | None = field(default=None, repr=False)
    _since_ns: int = field(default=0, repr=False)
    _recent_ns: int | None = field(default=None, repr=False)

    def note_date(self, date_ns: int, sent_ns: int, now_ns: int) -> None:
        """A reply to a request of `sent_ns` came at `now_ns` and was dated `date_ns`."""
        self._forget(now_ns)
        self._at_most_ns = date_ns + SECOND - sent_ns
        if self.offset_ns is not None and self.offset_ns > self._at_most_ns:
            self.offset_ns = self._recent_ns = None
        self._note(date_ns - now_ns)

    def note_time(self, stamp_ns: int, now_ns: int) -> None:
        """A message came at `now_ns` and was stamped `stamp_ns`."""
        self._forget(now_ns)
        ahead = stamp_ns - now_ns
        if self._at_most_ns is None or ahead <= self._at_most_ns:
            self._note(ahead)

    def _note(self, ahead_ns: int) -> None:
        self._recent_ns = max(ahead_ns, ahead_ns if self._recent_ns is None else self._recent_ns)
        self.offset_ns = max(ahead_ns, ahead_ns if self.offset_ns is None else self.offset_ns)

    def _forget(self, now_ns: int) -> None:
        """Keep what was said in this and in the previous stretch of time."""
        if not 0 <= now_ns - self._since_ns < FORGET_NS:
            kept = self.offset_ns if self._recent_ns is None else self._recent_ns
            self.offset_ns, self._recent_ns = kept, None
            self._at_most_ns, self._since_ns = None, now_ns
