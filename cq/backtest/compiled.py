"""The loop over bars as machine code, where numba is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from cq.backtest import arithmetic, fills, kernel, levels, resting, world
from cq.backtest.machine import is_on_disk, machine_code
from cq.backtest.world import World

MODULES: Final = (arithmetic, fills, levels, resting, kernel)
"""Where the loop's functions stand, each after those that it calls."""

EACH_MOMENT: Final = ("borrow", "at_open", "all_levels", "at_close")
"""What `walk` calls at every moment: written out there, which is faster."""

Walk = Callable[[int, int, World], int]


def kept() -> bool:
    """Whether the machine code of this version lies on disk already; where not, it takes long."""
    walk = compiled()
    return walk is not None and is_on_disk(walk)


@cache
def compiled() -> Walk | None:
    """`kernel.walk` as machine code; None without numba."""
    names = machine_code(MODULES, _how, (world, sys.modules[__name__]))
    return None if names is None else names["walk"]


def _how(name: str) -> dict[str, Any]:
    return {"inline": "always" if name in EACH_MOMENT else "never", "_nrt": False}
