"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Delays that double from `base_s` to `cap_s`, each up to `jitter` of itself longer or shorter.

    `reset` starts again from the base: it is for a connection that has delivered something, since
    one that is accepted and dropped at once would otherwise be hammered.
    """

    base_s: float = 0.5
    cap_s: float = 30.0
    jitter: float = 0.2
    uniform: Callable[[float, float], float] = random.uniform
    _next_s: float = field(default=0.0, init=False)

    def delay_s(self) -> float:
        """Seconds until the next attempt; the one after that waits twice as long."""
        current = self._next_s or min(self.base_s, self.cap_s)
        self._next_s = min(2 * current, self.cap_s)
        return current * self.uniform(1 - self.jitter, 1 + self.jitter)

    def reset(self) -> None:
        """Begin with the base again."""
        self._next_s = 0.0
