"""How far moments lie apart, a block at a time: nothing is made of them that is as long as many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

BLOCK: Final = 65_536
MANY: Final = 16 * BLOCK
"""Numbers of which another column may be made."""
SHORTER: Final = 0.9
"""Bars that lie this much closer than their interval are not of that interval; months are 28 days
to 31."""


def least_and_most(ts: Any) -> tuple[int, int]:
    """The shortest and the longest step between two of `ts`; (1, 0) where there is none."""
    found = []
    for at in range(0, len(ts) - 1, BLOCK):
        later = ts[at + 1 : at + 1 + BLOCK]
        steps = later - ts[at : at + len(later)]
        found.append((int(steps.min()), int(steps.max())))
    return (min(one for one, _ in found), max(one for _, one in found)) if found else (1, 0)


def least_and_most_of_each(ts: Any, edges: Sequence[int]) -> list[tuple[int, int]]:
    """The same of the moments from each edge to the next; short stretches are looked at together.

    They are as many as there are edges, but the last.
    """
    lengths = np.diff(edges)
    if lengths.size < 2 or lengths.min() < 2 or lengths.sum() > MANY:
        return [least_and_most(ts[a:b]) for a, b in pairwise(edges)]
    steps = ts[edges[0] + 1 : edges[-1]] - ts[edges[0] : edges[-1] - 1]
    within = np.subtract([edges[:-1], edges[1:]], edges[0])
    within[1] -= 1  # the step to the next stretch is none
    spans = within.T.ravel()[:-1]
    least, most = np.minimum.reduceat(steps, spans), np.maximum.reduceat(steps, spans)
    return list(zip(least[::2].tolist(), most[::2].tolist(), strict=True))
