"""Where the files that come with cq lie: settings, SQL, example strategies."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def resource_root() -> Path:
    """The folder with `configs/`, `sql/` and `lake/`: inside the wheel, or the source checkout."""
    packed = _PACKAGE / "_project"
    return packed if packed.is_dir() else _PACKAGE.parent
