"""Commands that go on until they are stopped, whether or not anybody still reads what they say."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class _Unheeded(io.RawIOBase):
    """A file that takes everything; what a closed pipe refuses is gone."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, content: Any) -> int:
        try:
            return os.write(self._number, content)
        except BrokenPipeError:
            return len(content)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)


@contextmanager
def lasting() -> Iterator[None]:
    """A block that no reader ends by going away: `| head`, a closed terminal, a log shipper."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_lasting(stream) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _lasting(stream: Any) -> Any:
    try:
        number = stream.fileno()
        stream.flush()
    except BrokenPipeError:
        pass
    except (AttributeError, OSError, ValueError):  # closed, or in memory
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Unheeded(number)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=True,  # what is said is said at once, as without Python's own buffer
    )
