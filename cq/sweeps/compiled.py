"""The kernel of trials as machine code, where numba is installed."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import getsource
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, Final

from cq.backtest import arithmetic
from cq.backtest.stepping import LONG
from cq.sweeps import kernel

VERY_LONG: Final = 20_000_000
"""Bars × trials from which machine code is made where there is none yet."""
ORDERLESS: Final = ("extremes",)
"""What gives the same bits in any order: it may be done several at a time."""


def is_worth_it(cells: int) -> bool:
    """Whether machine code serves so much work (bars × trials) better, with what it costs to have.

    Where it is not on disk yet it has to be made, which takes a quarter of a minute.
    """
    if cells < LONG or compiled() is None:
        return False
    return cells >= VERY_LONG or kept()


def kept() -> bool:
    """Whether the machine code of this version lies on disk already."""
    code = compiled()
    return code is not None and all(
        any(Path(one.stats.cache_path).glob(f"*.{one.py_func.__qualname__}-*.nbi"))
        for one in vars(code).values()
    )


@cache
def compiled() -> Any | None:
    """The kernel's functions as machine code, which frees Python while it runs; None without numba.

    Compiled once and kept on disk, under names that hold a digest of all their sources.
    """
    if find_spec("numba") is None:
        return None
    njit = import_module("numba").njit
    sources = "".join(getsource(one) for one in (arithmetic, kernel, sys.modules[__name__]))
    digest = hashlib.sha256(sources.encode()).hexdigest()[:12]
    names: dict[str, Any] = {**vars(arithmetic), **vars(kernel)}
    for module in (arithmetic, kernel):
        for name, one in list(vars(module).items()):
            if isinstance(one, FunctionType) and one.__module__ == module.__name__:
                copy = FunctionType(one.__code__, names, name)
                copy.__qualname__ = f"{name}-{digest}"
                loose = {"nnan", "nsz"} if name in ORDERLESS else False
                names[name] = njit(
                    copy, nogil=True, cache=True, error_model="numpy", fastmath=loose
                )
    return SimpleNamespace(**{name: names[name] for name in ("means", "crossings", "followed")})
