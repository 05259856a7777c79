"""The small files of a stream, merged now and then while it runs.

A file a market every few minutes is thousands in a week, and each costs every question and every
write beside it. So a stream that runs for long keeps its own house: it merges what it wrote lately,
as `cq lake compact` would, and leaves larger files to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Final

from cq.errors import LakeBusy
from cq.lake import Lake
from cq.lake.compaction import compact
from cq.lake.datasets import COVERAGE, OHLCV, ORDERBOOK_L2, REJECTED, TRADES
from cq.utils import log
from cq.utils.time import is_over

DATASETS: Final = tuple(one.name for one in (TRADES, OHLCV, ORDERBOOK_L2, COVERAGE, REJECTED))
"""What a stream writes."""

LITTLE_MB: Final = 1.0
"""Smaller files are merged; to write larger ones anew every time would be most of the writing."""


SOONER: Final = 10
"""The first merging of a stream comes so much sooner: one that is begun anew often has its own."""


class _Stopped(Exception):
    """It was told to end."""


@dataclass
class Tidying:
    """Merges small files of a stream's symbols every `every_ns`, next at `due_ns`."""

    lake: Lake
    symbols: Sequence[str]
    every_ns: int
    due_ns: int
    stopping: Event = field(default_factory=Event)

    @classmethod
    def of(cls, lake: Lake, symbols: Sequence[str], every_ns: int, now_ns: int) -> Tidying:
        """Of a stream that begins now."""
        return cls(lake, symbols, every_ns, now_ns + every_ns // SOONER)

    def due(self, now_ns: int) -> bool:
        """Whether it is time."""
        over = is_over(self.due_ns - self.every_ns, self.every_ns, now_ns)
        return over and not self.stopping.is_set()

    def run(self, now_ns: int) -> int:
        """Merge; how many files fewer there are. The next time is counted from `now_ns`.

        Told to stop, it ends after the folders that it is at. Whatever goes wrong is a warning, and
        may go right the next time: books that a stream missed nobody can fetch. While somebody else
        compacts the lake there is nothing to do.
        """
        self.due_ns = now_ns + self.every_ns
        try:
            done = compact(
                self.lake, DATASETS, self.symbols, small_mb=LITTLE_MB, wait_s=1, progress=self._look
            )
        except (LakeBusy, _Stopped):
            return 0
        except Exception as error:
            reason = str(error) or type(error).__name__
            log.event("lake", "compact", level="WARNING", status="failed", reason=reason)
            return 0
        fewer = sum(one.files_before - one.files_after for one in done)
        left = [f"{one.folder}: {one.left}" for one in done if one.left]
        log.event("lake", "compact", status="done", files_fewer=fewer, left=left)
        return fewer

    def _look(self, *_: object) -> None:
        if self.stopping.is_set():
            raise _Stopped
