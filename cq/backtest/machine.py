"""Plain functions as machine code, where numba is installed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from inspect import getsource
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any


def machine_code(
    modules: Sequence[ModuleType],
    how: Callable[[str], Mapping[str, Any]],
    besides: Sequence[ModuleType] = (),
) -> dict[str, Any] | None:
    """The names of `modules`, each of which calls those before it, with functions that compile
    when they are first called and free Python while they run; None without numba.

    `how` tells a function's own options. What is compiled is kept on disk. Numba looks at one file
    to see whether that is stale; these functions stand in several, so a digest of them all, and
    of modules `besides` (the caller's among them), is in their names.
    """
    if find_spec("numba") is None:
        return None
    njit = import_module("numba").njit
    hashed = (*modules, *besides, sys.modules[__name__])
    digest = hashlib.sha256("".join(getsource(one) for one in hashed).encode()).hexdigest()[:12]
    names: dict[str, Any] = {}
    for module in modules:
        names.update(vars(module))
    for module in modules:
        for name, one in list(vars(module).items()):
            if isinstance(one, FunctionType) and one.__module__ == module.__name__:
                copy = FunctionType(one.__code__, names, name)
                copy.__qualname__ = f"{name}-{digest}"
                names[name] = njit(copy, nogil=True, cache=True, error_model="numpy", **how(name))
    return names


def is_on_disk(function: Any) -> bool:
    """Whether a function's machine code is there already; where not, it takes long."""
    name = function.py_func.__qualname__
    return any(Path(function.stats.cache_path).glob(f"*.{name}-*.nbi"))
