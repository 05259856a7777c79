"""What was decided at a bar's close, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["none", "pending", "sent", "nothing", "blocked"]

NO_BAR = 0
"""The `ts` of an alert about a symbol of which no bar has come yet."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at the close of the bar that opened at `ts`.

    `acted` says that it counts as done: the next intent arises only when the target moves away
    from it. A blocked one does not count and is tried again at the next bar.
    """

    ts: int
    symbol: str
    signal: int | None
    target: float | None
    acted: bool
    state: State
    reason: str = ""
