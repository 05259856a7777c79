"""The kernel of trials as machine code, where numba is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

from cq.backtest import arithmetic, pairing, tiles
from cq.backtest.machine import is_on_disk, machine_code
from cq.backtest.stepping import LONG
from cq.sweeps import kernel

VERY_LONG: Final = 20_000_000
"""Bars × trials from which machine code is made where there is none yet."""
CROSSING: Final = ("means", "crossings")
FOLLOWING: Final = ("followed",)


def is_worth_it(cells: int, names: Sequence[str]) -> bool:
    """Whether machine code of these functions serves so much work (bars × trials) better, with what
    it costs to have.

    Where it is not on disk yet it has to be made, which takes a quarter of a minute.
    """
    if cells < LONG or compiled() is None:
        return False
    return cells >= VERY_LONG or kept(names)


def kept(names: Sequence[str]) -> bool:
    """Whether their machine code lies on disk already; where not, it takes long."""
    code = compiled()
    return code is not None and all(is_on_disk(getattr(code, name)) for name in names)


@cache
def compiled() -> Any | None:
    """The kernel's functions as machine code; None without numba."""
    names = machine_code((arithmetic, pairing, tiles, kernel), _how, (sys.modules[__name__],))
    if names is None:
        return None
    return SimpleNamespace(**{name: names[name] for name in (*CROSSING, *FOLLOWING)})


def _how(name: str) -> dict[str, Any]:
    return {"fastmath": tiles.ANY_ORDER if name in tiles.ORDERLESS else False}
