"""Many runs of one strategy: sweeps over its parameters, and how much of the best is luck."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cq.sweeps.door import sweep
    from cq.sweeps.result import SweepResult
    from cq.sweeps.space import Axis

__all__ = ["Axis", "SweepResult", "sweep"]

_HOMES = {"Axis": "space", "SweepResult": "result", "sweep": "door"}


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
