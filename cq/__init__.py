"""A data lake, backtests and paper trading for Mercado Bitcoin: `from cq import Lake`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cq.lake import Lake

    __version__: str

__all__ = ["Lake", "__version__"]


def __getattr__(name: str) -> Any:
    """Load what is asked for, so that `import cq` itself costs nothing."""
    if name == "Lake":
        from cq.lake import Lake

        return Lake
    if name == "__version__":
        from importlib.metadata import version

        return version("cq")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
