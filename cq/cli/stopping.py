"""How a command ends that somebody stops."""

from __future__ import annotations

from typing import Final

AGAIN: Final = "run the same command again"


class Terminated(BaseException):
    """SIGTERM, raised where the command is, so that its blocks end as with Ctrl-C."""


def advice(error: BaseException) -> str:
    """What to type next: what the command noted on the error, else the same command again."""
    noted = [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]
    return noted[-1] if noted else AGAIN
