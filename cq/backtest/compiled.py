"""The loop over bars as machine code, where numba is installed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import getsource
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from cq.backtest import arithmetic, fills, kernel, levels, resting, world
from cq.backtest.world import World

MODULES: Final = (arithmetic, fills, levels, resting, kernel)
"""Where the loop's functions stand, each after those that it calls."""

EACH_MOMENT: Final = ("borrow", "at_open", "all_levels", "at_close")
"""What `walk` calls at every moment: written out there, which is faster."""

Walk = Callable[[int, int, World], int]


def kept() -> bool:
    """Whether the machine code of this version lies on disk already; where not, it takes long."""
    walk: Any = compiled()
    if walk is None:
        return False
    return any(Path(walk.stats.cache_path).glob(f"*.{walk.py_func.__qualname__}-*.nbi"))


@cache
def compiled() -> Walk | None:
    """`kernel.walk` as machine code, which frees Python while it runs; None without numba.

    It is compiled once and kept on disk. Numba looks at one file to see whether what it keeps is
    stale; these functions stand in several, so a digest of all of them is in their names.
    """
    if find_spec("numba") is None:
        return None
    njit = import_module("numba").njit
    sources = "".join(getsource(one) for one in (*MODULES, world, sys.modules[__name__]))
    digest = hashlib.sha256(sources.encode()).hexdigest()[:12]
    names: dict[str, Any] = {}
    for module in MODULES:
        names.update(vars(module))
    for module in MODULES:
        for name, one in _functions(module):
            copy = FunctionType(one.__code__, names, name)
            copy.__qualname__ = f"{name}-{digest}"
            how = "always" if name in EACH_MOMENT else "never"
            names[name] = njit(
                copy, nogil=True, cache=True, error_model="numpy", inline=how, _nrt=False
            )
    found: Walk = names["walk"]
    return found


def _functions(module: ModuleType) -> list[tuple[str, FunctionType]]:
    return [
        (name, one)
        for name, one in vars(module).items()
        if isinstance(one, FunctionType) and one.__module__ == module.__name__
    ]
