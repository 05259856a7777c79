"""The loop over bars as machine code, where numba is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from cq.backtest import arithmetic, fills, kernel, levels, pairing, resting, tiles, world
from cq.backtest.machine import is_on_disk, machine_code
from cq.backtest.world import World

MODULES: Final = (arithmetic, fills, levels, resting, kernel, pairing, tiles)
"""Where the loop's functions stand, each after those that it calls."""

EACH_MOMENT: Final = ("borrow", "at_open", "all_levels", "at_close", "write_down")
"""What `walk` calls at every moment: written out there, which is faster."""

EACH_ORDER: Final = (
    *("take_up", "note", "arises", "enqueue", "worth_of", "carry_out", "others_of", "execute"),
    "slipped",
    *("desired", "allowed", "payable", "priced", "fee_of", "cut", "tidied"),
)
"""What every order goes through: to call with all of World takes longer than what is done there."""

Walk = Callable[[int, int, World], int]


class Code(NamedTuple):
    """`kernel.walk`, `pairing.pair` and `tiles.told` as machine code."""

    walk: Walk
    pair: Callable[..., int]
    told: Callable[..., None]


def kept() -> bool:
    """Whether the machine code of this version lies on disk already; where not, it takes long."""
    code = compiled()
    return code is not None and is_on_disk(code.walk)


@cache
def compiled() -> Code | None:
    """The machine code; None without numba."""
    names = machine_code(MODULES, _how, (world, sys.modules[__name__]))
    return None if names is None else Code(*(names[name] for name in Code._fields))


def _how(name: str) -> dict[str, Any]:
    return {
        "inline": "always" if name in EACH_MOMENT else "never",
        "fastmath": tiles.ANY_ORDER if name in tiles.ORDERLESS else False,
        "_nrt": False,
        "forceinline": name in EACH_ORDER,
    }
