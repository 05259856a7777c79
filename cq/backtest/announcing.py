"""A line before a long silence: machine code is made once, and nobody should wonder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

_TOLD: Final[set[str]] = set()


def announce(what: str, takes: str, is_there: Callable[[], bool]) -> None:
    """Say once that machine code of `what` has to be made, unless it is there already.

    It goes to Python's logger `cq`, and so to standard error where nobody set that up otherwise.
    """
    if what in _TOLD:
        return
    _TOLD.add(what)
    if not is_there():
        logging.getLogger("cq").warning(
            "making machine code of %s, once for this version of cq; it takes about %s", what, takes
        )
