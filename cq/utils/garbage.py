"""Making much that stays, without looking for garbage in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_collected(*, freeze: bool = False) -> Iterator[None]:
    """A block whose work is not interrupted by collections, each of which goes through everything.

    With `freeze`, what is there at its end is passed over by later ones for good.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if freeze:
            gc.freeze()
        gc.enable()
