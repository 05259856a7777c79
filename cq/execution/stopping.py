"""A clean end: Ctrl-C and SIGTERM ask the loop to stop between two steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def until_told(on_first: Callable[[], None] = lambda: None) -> Iterator[Event]:
    """An event that is set by the first Ctrl-C or SIGTERM; a second one interrupts at once."""
    told = Event()

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if told.is_set():
            raise KeyboardInterrupt
        told.set()
        on_first()

    before = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
