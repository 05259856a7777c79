"""Loops that no Polars expression can say, each written once and run in two ways.

A recurrence with a state (a trailing stop) or a window that is weighed afresh at each bar is a
plain function that fills `found` from columns. Over long columns numba compiles it (once, kept on
disk); over short ones, such as live ones, or without numba, Python runs the very same lines: the
same bits, since compiled arithmetic is not rearranged. Numba is imported only when a column asks
for it.

A null or NaN is a bar that is not there: windows that hold one have no value, states pass over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import polars as pl

from cq.indicators.arrays import Array, array, series

LONG: Final = 50_000
"""Rows of a column from which compiling, or loading what was compiled, is worth its while."""
MANY: Final = 1_000_000
"""Rows of short columns after which it is: Python has then spent as long on them."""

Loop = Callable[..., None]
_READY: set[Loop] = set()
"""What is compiled in this process: from then on it serves short columns as well."""
_SEEN: Counter[Loop] = Counter()
"""Rows that Python went through, by loop."""


def kernel(loop: Loop, inputs: Sequence[pl.Expr], *parameters: Any) -> pl.Expr:
    """The expression that `loop(found, *columns, *parameters)` fills, over whole columns."""
    return pl.map_batches(list(inputs), Kernel(loop, parameters), return_dtype=pl.Float64)


@dataclass(frozen=True)
class Kernel:
    """A loop with its parameters, as a plan holds it; it can be pickled, as plans can."""

    loop: Loop
    parameters: tuple[Any, ...]

    def __call__(self, columns: Sequence[pl.Series]) -> pl.Series:
        """What the loop makes of the columns of one symbol."""
        return series(filled(self.loop, [array(one) for one in columns], *self.parameters))


def filled(loop: Loop, arrays: Sequence[Array], *parameters: Any) -> Array:
    """What `loop` makes of the arrays."""
    rows = len(arrays[0])
    if _wanted(loop, rows) and (fast := compiled(loop)):
        found = np.full(rows, np.nan)
        fast(found, *arrays, *parameters)
        return found
    listed = [np.nan] * rows
    loop(listed, *map(_listed, arrays), *map(_listed, parameters))
    return np.array(listed, dtype=np.float64)


def _wanted(loop: Loop, rows: int) -> bool:
    """Whether machine code is there, or pays: live trading asks for a few rows, for days."""
    if loop in _READY or rows >= LONG:
        return True
    _SEEN[loop] += rows
    return _SEEN.total() > MANY


@cache
def compiled(loop: Loop) -> Loop | None:
    """`loop` as machine code; None where numba is not installed."""
    if find_spec("numba") is None:
        return None
    made: Loop = import_module("numba").njit(loop, nogil=True, cache=True)
    _READY.add(loop)
    return made


def _listed(one: Any) -> Any:
    """Plain floats, over which Python loops several times faster than over an array."""
    return one.tolist() if isinstance(one, np.ndarray) else one
