"""How a command ends that somebody stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NOTHING: Final = "nothing is kept"
AGAIN: Final = "run the same command again"


class Terminated(BaseException):
    """SIGTERM, raised where the command is, so that its blocks end as with Ctrl-C."""


def advice(error: BaseException) -> str:
    """What is kept, and what to type next: what the command noted on the error, else once more."""
    noted = [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]
    if noted[-1:] == [NOTHING]:
        return f"{NOTHING}, {AGAIN}"
    return f"what had landed is kept, {noted[-1] if noted else AGAIN}"


@contextmanager
def keeping_nothing() -> Iterator[None]:
    """Around work that writes nothing before it is done; as a decorator, too."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        stop.add_note(NOTHING)
        raise
