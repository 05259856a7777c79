"""The order in which the frames of one socket leave, when some are lost, doubled or overtaken."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from cq.sim.faults import FrameStrokes


@dataclass
class Leaving:
    """Counts the frames of a socket, and holds back those that others overtake.

    One that is struck leaves after `distance` more have come, be it turns later: at a normal pace a
    turn brings one frame, which has nobody to be overtaken by.
    """

    count: int = 0
    _held: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(
            schema={"text": pl.String, "place": pl.Float64, "times": pl.Int64}
        )
    )

    def of(self, texts: pl.Series, strokes: FrameStrokes) -> pl.Series:
        """What leaves now that `texts` come, up to the one that is the socket's last."""
        place = np.arange(self.count, self.count + len(texts), dtype=np.float64)
        place[strokes.reorder] += strokes.distance + 0.5  # between that one and the next
        times = np.ones(len(texts), np.int64)
        times[strokes.duplicate] = 2
        times[strokes.lost] = 0
        come = pl.DataFrame({"text": texts, "place": place, "times": times})
        end = self.count + (len(texts) if strokes.ends_at is None else strokes.ends_at + 1)
        self.count += len(texts)
        waiting = pl.concat([self._held, come]).sort("place", maintain_order=True)
        leaves = waiting.filter(pl.col("place") < end)
        self._held = waiting.filter(pl.col("place") >= self.count)
        return leaves.select(pl.col("text").repeat_by("times").explode(empty_as_null=False))["text"]
