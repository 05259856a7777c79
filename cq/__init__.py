"""A data lake, backtests and paper trading for Mercado Bitcoin: `from cq import Lake`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cq import backtest
    from cq.lake import Lake
    from cq.sweeps import sweep

__all__ = ["Lake", "__version__", "backtest", "sweep"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load what is asked for, so that `import cq` itself costs nothing."""
    if name == "Lake":
        from cq.lake import Lake

        return Lake
    if name == "backtest":
        return import_module("cq.backtest")
    if name == "sweep":
        from cq.sweeps import sweep

        return sweep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
