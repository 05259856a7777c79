"""How a command ends that somebody stops."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from time import monotonic
from types import FrameType
from typing import Any, Final

from cq.utils.calls import interrupt_all

NOTHING: Final = "nothing is kept"
AGAIN: Final = "run the same command again"


class Terminated(BaseException):
    """SIGTERM, raised where the command is, so that its blocks end as with Ctrl-C."""


STOPS: Final[dict[int, type[BaseException]]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
LOOK_EVERY_S: Final = 0.1
AGAIN_S: Final = 0.5
IMPORTING_S: Final = 10.0


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block, with KeyboardInterrupt or Terminated, whatever is at work.

    What a signal's handler raises does not always arrive: DuckDB raises an error of its own in its
    place, Polars and others drop it. So the block ends with the stop that was asked for, however it
    ends, and a stop that was lost is raised again. A second one ends the process at once, even
    where a library never comes back. Commands may have handlers of their own inside.
    """
    if current_thread() is not main_thread():
        yield
        return
    asked = _Asked()
    handlers = dict.fromkeys(STOPS, asked.on_signal) | {signal.SIGALRM: asked.on_look}
    ignored = {one for one in STOPS if signal.getsignal(one) is signal.SIG_IGN}  # as by nohup
    before = {one: signal.signal(one, handlers[one]) for one in handlers if one not in ignored}
    hook, sys.unraisablehook = sys.unraisablehook, _without_stops(sys.unraisablehook)
    try:
        with asked.heard():
            yield
    except BaseException as error:
        if asked.stop is None or type(error) is asked.stop:
            raise
        raise asked.stop from error
    else:
        if asked.stop is not None:
            raise asked.stop
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for one, handler in before.items():
            signal.signal(one, handler)


class _Asked:
    """The stop that was asked for, and whether the block is on its way out."""

    def __init__(self) -> None:
        self.stop: type[BaseException] | None = None
        self._handled: list[BaseException] = []
        self._since = 0.0

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A thread hears of the signals, too: handlers wait for the library that is at work."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        Thread(target=self._hear, args=(reading,), daemon=True).start()
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            os.close(writing)

    def _hear(self, reading: int) -> None:
        """End the process at the second stop; `timeout` and others send the first one twice."""
        first = None
        with open(reading, "rb", buffering=0) as signals:
            while heard := signals.read(1):
                number = heard[0]
                if number not in STOPS or signal.getsignal(number) != self.on_signal:
                    continue
                first = first or monotonic()
                if monotonic() > first + AGAIN_S:
                    os.write(2, b"cq: stopped at once\n")
                    os._exit(128 + number)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Raise the stop that was asked for first."""
        if self.stop is not None:
            return
        self.stop = STOPS[number]
        self._handled = _behind(sys.exc_info()[1])
        self._since = monotonic()
        signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY_S, LOOK_EVERY_S)
        self._end(frame)

    def on_look(self, number: int, frame: FrameType | None) -> None:
        """Raise the stop again, unless blocks are ending: what they tidy up is not to be torn."""
        del number
        handled = sys.exc_info()[1]
        is_ending = handled is not None and not any(handled is one for one in self._handled)
        if not is_ending:
            self._end(frame)

    def _end(self, frame: FrameType | None) -> None:
        if self.stop is not None and not self._is_importing(frame):
            interrupt_all()
            raise self.stop

    def _is_importing(self, frame: FrameType | None) -> bool:
        """An import is let to its end, if that is near: half of one aborts some libraries."""
        if monotonic() > self._since + IMPORTING_S:
            return False
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                return True
            frame = frame.f_back
        return False


def _without_stops(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What tells of dropped exceptions, but of stops: those are raised again."""

    def tell(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, tuple(STOPS.values())):
            hook(dropped)

    return tell


def _behind(error: BaseException | None) -> list[BaseException]:
    """The error, and those that it came from."""
    found: list[BaseException] = []
    while error is not None and not any(error is one for one in found):
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def advice(error: BaseException) -> str:
    """What is kept, and what to type next: what the command noted on the error, else once more."""
    noted = next((one.__notes__[-1] for one in _behind(error) if hasattr(one, "__notes__")), None)
    if noted == NOTHING:
        return f"{NOTHING}, {AGAIN}"
    return f"what had landed is kept, {noted or AGAIN}"


@contextmanager
def keeping_nothing() -> Iterator[None]:
    """Around work that writes nothing before it is done; as a decorator, too.

    The note is for a stop, which may come up as any error.
    """
    try:
        yield
    except BaseException as error:
        error.add_note(NOTHING)
        raise
