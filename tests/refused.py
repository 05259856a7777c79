"""What a strategy's file is refused with."""

from __future__ import annotations

from pathlib import Path

import pytest

from cq.errors import StrategyError
from cq.strategies import load


def problem(path: Path, *overrides: str) -> str:
    """The one line that `load` ends in."""
    with pytest.raises(StrategyError) as caught:
        load(path, overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)
