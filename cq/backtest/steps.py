"""How far moments lie apart, a block at a time: nothing as long as they are is made of them."""

from __future__ import annotations

from typing import Any, Final

BLOCK: Final = 65_536


def least_and_most(ts: Any) -> tuple[int, int]:
    """The shortest and the longest step between two of `ts`; (1, 0) where there is none."""
    found = []
    for at in range(0, len(ts) - 1, BLOCK):
        later = ts[at + 1 : at + 1 + BLOCK]
        steps = later - ts[at : at + len(later)]
        found.append((int(steps.min()), int(steps.max())))
    return (min(one for one, _ in found), max(one for _, one in found)) if found else (1, 0)
