"""Where a column of targets changes enough to act."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FIRST_LOOK = 64


def changes(targets: Floats, band: float = 0.0) -> Ints:
    """The rows at which an account that starts flat acts, oldest first.

    It acts when the target becomes zero or leaves zero, and when it lies further than `band` from
    the target it last acted on. NaN is no target: nothing is decided there.
    """
    rows, known = _decided(targets)
    if band == 0.0:
        moved = np.flatnonzero(known[1:] != known[:-1]) + 1
        first = [0] if known.size and known[0] != 0.0 else []
        return rows[np.concatenate((np.array(first, dtype=np.int64), moved))]
    found: list[int] = []
    acted, at = 0.0, _next_change(known, 0.0, band, 0)
    while at < known.size:
        found.append(at)
        acted = float(known[at])
        at = _next_change(known, acted, band, at + 1)
    return rows[np.array(found, dtype=np.int64)]


def _decided(targets: Floats) -> tuple[Ints, Floats]:
    """The rows that have a target, and those targets."""
    missing = np.isnan(targets)
    start = int(missing.argmin()) if missing.size else 0
    if not missing[start:].any():  # the usual case: only the warm-up has none
        return np.arange(start, targets.size), targets[start:]
    rows = np.flatnonzero(~missing)
    return rows, targets[rows]


def _next_change(targets: Floats, acted: float, band: float, start: int) -> int:
    """The first row from `start` on that differs enough from `acted`; the size where none does."""
    width = _FIRST_LOOK
    while start < targets.size:
        part = targets[start : start + width]
        differs = (np.abs(part - acted) > band) | ((part == 0.0) != (acted == 0.0))
        first = int(differs.argmax())
        if differs[first]:
            return start + first
        start += width
        width *= 2
    return int(targets.size)
