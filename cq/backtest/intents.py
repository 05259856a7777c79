"""Where a column of targets changes enough to act."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FIRST_LOOK = 64


def changes(targets: Floats, band: float = 0.0, act: npt.NDArray[np.bool_] | None = None) -> Ints:
    """The rows at which an account that starts flat acts, oldest first.

    It acts when the target becomes zero or leaves zero, and when it lies further than `band` from
    the target it last acted on; where `act` is true on any target other than zero. NaN is no
    target: nothing is decided there.
    """
    missing = np.isnan(targets)
    start = int(missing.argmin()) if missing.size else 0
    if not missing[start:].any():  # the usual case: only the warm-up has none
        return start + _moved(targets[start:], band, None if act is None else act[start:])
    rows = np.flatnonzero(~missing)
    return rows[_moved(targets[rows], band, None if act is None else act[rows])]


def _moved(known: Floats, band: float, act: npt.NDArray[np.bool_] | None) -> Ints:
    """The same of targets without a NaN among them."""
    asked = [] if act is None else np.flatnonzero((known != 0.0) & act).tolist()
    if band != 0.0:
        return _beyond(known, band, [*asked, known.size])
    moved = np.flatnonzero(known[1:] != known[:-1]) + 1
    first = [0] if known.size and known[0] != 0.0 else []
    found = np.concatenate((np.array(first, dtype=np.int64), moved))
    return np.union1d(found, np.array(asked, dtype=np.int64)) if asked else found


def _beyond(known: Floats, band: float, asked: list[int]) -> Ints:
    """The rows that differ by more than `band` from the last one found, and those asked for."""
    found: list[int] = []
    acted, at, k = 0.0, 0, 0
    while True:
        at = _next_change(known[: asked[k]], acted, band, at)
        if at >= known.size:
            return np.array(found, dtype=np.int64)
        found.append(at)
        k += at == asked[k]
        acted = float(known[at])
        at += 1


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
