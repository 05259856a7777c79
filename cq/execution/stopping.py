"""A clean end: Ctrl-C and SIGTERM ask the loop to stop between two steps.

What leaves nothing half done, such as asking the exchange, is not waited for: it ends at once.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

    from cq.exchanges import MarketData


class Stopped(Exception):
    """Told to stop while nothing was half done."""


SLICE_S: Final = 0.25
"""A wait looks this often: a signal that comes just before a sleep does not end it."""


class Told:
    """Set by the first Ctrl-C or SIGTERM; without a lock, which a signal handler could not take."""

    def __init__(self) -> None:
        self.leaves_at_once = False
        self._told = False

    def is_set(self) -> bool:
        """Whether it was told to stop."""
        return self._told

    def set(self) -> None:
        """Tell it to stop."""
        self._told = True

    def wait(self, seconds: float) -> bool:
        """Sleep, but end early when told to stop; whether it was."""
        until = time.monotonic() + seconds
        while not self._told and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_S))
        return self._told

    def pause(self, seconds: float) -> None:
        """Sleep; Stopped when told to stop before the end of it."""
        if self.wait(seconds):
            raise Stopped

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is inside ends with Stopped as soon as it is told to: sleeps and requests too."""
        self.leaves_at_once = True
        try:
            if self.is_set():
                raise Stopped
            yield
        finally:
            self.leaves_at_once = False


class Heeding:
    """A market whose requests, and the pauses between them, end at once when told to stop."""

    def __init__(self, market: MarketData, told: Told) -> None:
        self.market, self.told = market, told
        self.name, self.intervals = market.name, market.intervals

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """The market's; Stopped when told to stop before they are here."""
        with self.told.at_once():
            return self.market.candles(symbol, interval, start_ns, end_ns)

    def time_ns(self, now_ns: int) -> int:
        """The market's."""
        return self.market.time_ns(now_ns)


@contextmanager
def until_told(on_first: Callable[[], None] = lambda: None) -> Iterator[Told]:
    """An event that is set by the first Ctrl-C or SIGTERM; a second one interrupts at once."""
    told = Told()

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if told.is_set():
            raise KeyboardInterrupt
        told.set()
        on_first()
        if told.leaves_at_once:
            raise Stopped

    before = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
