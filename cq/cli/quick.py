"""Importing much, quickly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cq.utils.garbage import nothing_collected


@contextmanager
def importing() -> Iterator[None]:
    """Import heavy packages without looking for garbage: there is none, and looking takes a fifth.

    What they made is then set aside for good, so that later collections pass over it. Nor does
    pydantic need to ask every installed package whether it is a plugin.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with nothing_collected(freeze=True):
        yield
