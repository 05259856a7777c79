"""What the simulated exchange has done so far, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Status:
    """Counts since the start; `/_sim/status` shows them."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    limited: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    sockets_opened: int = 0
    sockets_open: int = 0

    def shown(self) -> dict[str, Any]:
        """Plain values, in the order of names."""
        return {
            "requests": dict(sorted(self.requests.items())),
            "statuses": {str(code): count for code, count in sorted(self.statuses.items())},
            "limited": dict(sorted(self.limited.items())),
            "faults": dict(sorted(self.faults.items())),
            "frames": dict(sorted(self.frames.items())),
            "sockets": {"open": self.sockets_open, "opened": self.sockets_opened},
        }
