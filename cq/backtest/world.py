"""What the loop over bars reads and writes: flat columns, and records with names.

Cell `s * moments + t` is symbol s at moment t; an open that is NaN is a bar that is not there.
Python runs the loop over lists of floats and of plain objects, numba over arrays and records.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

NONE, MARKET, LIMIT, STOP, STOP_LIMIT = 0, 1, 2, 3, 4
"""Kinds of a working order."""
AT_OPEN, AT_CLOSE, AT_SAME_CLOSE = 0, 1, 2
"""Where a market order is filled."""
SIGNAL, BY_STOP, BY_TAKE, BY_TRAIL, BY_TIME, BY_OTHER = 0, 1, 2, 3, 4, 5
"""Why a fill was made."""
A_STEP = 6
"""Fills that one symbol can have at one moment, at most."""


class World(NamedTuple):
    """Everything the loop reads and writes.

    `act` is above zero where a target is acted on although it stayed; one zero is nowhere. `levels`
    holds what is said of an order's prices, each either once or a cell each; `fine` four
    prices of each finer bar, `spans` where those of a cell begin and end; `dated` three fees, once
    or for each open and close; `years` the time since the moment before; `curves` equity, cash and
    exposure, one after the other. `ring` keeps decisions until they are due.
    """

    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    impact: Any
    target: Any
    act: Any
    levels: Any
    fine: Any
    spans: Any
    dated: Any
    years: Any
    curves: Any
    terms: Any
    purse: Any
    book: Any
    ring: Any
    fills: Any


WHOLE, NUMBER = "i8", "f8"

TERMS: Final = [
    *((name, WHOLE) for name in ("symbols", "moments", "capacity", "unit", "fill", "slots")),
    *((name, WHOLE) for name in ("short", "by_volume", "by_impact", "by_fine", "each_rate")),
    *((name, WHOLE) for name in ("entry", "offset", "beyond", "stop", "take", "trail")),
    *((f"at_{name}", WHOLE) for name in ("limit", "trigger", "stop", "take", "trail")),
    *((f"each_{name}", WHOLE) for name in ("limit", "trigger", "stop", "take", "trail")),
    *((name, WHOLE) for name in ("expires", "max_bars", "cooldown", "reentry")),
    *((name, WHOLE) for name in ("entry_bar", "stop_slips", "from_fill")),
    *((name, WHOLE) for name in ("rests", "stop_first", "each_act", "together")),
    *((name, NUMBER) for name in ("borrow", "max_position", "max_gross", "band", "scale")),
    *((name, NUMBER) for name in ("min_notional", "tick", "move", "half_ticks", "participation")),
]
"""Rules as numbers, one record; 0 is none."""
PURSE: Final = [("cash", NUMBER), ("borrowed", NUMBER), ("fills", WHOLE)]
"""What all symbols share: one record."""
BOOK: Final = [
    *((name, NUMBER) for name in ("held", "mark", "acted", "barred", "room")),
    *((name, NUMBER) for name in ("stop", "take", "trail", "floor", "peak")),
    *((name, NUMBER) for name in ("target", "left", "limit", "trigger")),
    *((name, NUMBER) for name in ("its_stop", "its_take", "its_trail", "weight")),
    *((name, WHOLE) for name in ("cooling", "age", "fresh", "left_now", "gone", "slot")),
    *((name, WHOLE) for name in ("over", "ending", "kind", "fired", "waited", "why", "queue")),
]
"""What one moment leaves to the next: a record a symbol. First the position, then its levels, then
the working order. `over` is why a position was decided to be closed early, until it is."""
DECISION: Final = [
    *((name, NUMBER) for name in ("target", "close", "limit", "trigger", "stop", "take", "trail")),
    ("why", WHOLE),
]
"""A decision that waits; NaN for a target is none."""
FILL: Final = [
    *((name, WHOLE) for name in ("when", "who", "why")),
    *((name, NUMBER) for name in ("qty", "price", "fee", "slippage")),
]
"""A fill; `when` is twice the moment, plus one at its end; a sale's quantity is negative."""
