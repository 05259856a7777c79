"""Frames of bars: in order, and symbol by symbol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import polars as pl

from cq.backtest.steps import least_and_most


@dataclass(frozen=True)
class Part:
    """What was read of one symbol, oldest first, with its targets."""

    symbol: str
    rows: pl.DataFrame


@dataclass(frozen=True)
class Ordered:
    """Rows symbol by symbol, by name, each oldest first; `edges` are where they begin and end."""

    rows: pl.DataFrame
    names: tuple[str, ...]
    edges: tuple[int, ...]

    @classmethod
    def of(cls, bars: pl.DataFrame) -> Ordered:
        """The rows as they are where they lie so, else sorted."""
        found = _starts(bars)
        if found is None:
            return cls.of(bars.sort("symbol", "ts"))
        return cls(bars, tuple(found), (*found.values(), bars.height))

    def with_rows(self, rows: pl.DataFrame) -> Ordered:
        """Other columns of the same bars."""
        return replace(self, rows=rows)

    def parts(self) -> list[Part]:
        """One part a symbol."""
        rows = self.rows.drop("symbol", strict=False)
        ends = pairwise(self.edges)
        return [
            Part(name, rows.slice(a, b - a)) for name, (a, b) in zip(self.names, ends, strict=True)
        ]

    @cached_property
    def shortest_step(self) -> int:
        """The shortest time between two bars of a symbol; 0 where no symbol has two."""
        ts, found = self.rows["ts"].to_numpy(), []
        for a, b in pairwise(self.edges):
            least, most = least_and_most(ts[a:b])
            if least <= 0 < most:  # bars repeat
                steps = ts[a + 1 : b] - ts[a : b - 1]
                least = int(steps[steps > 0].min())
            if most > 0:
                found.append(least)
        return min(found, default=0)


def _starts(bars: pl.DataFrame) -> dict[str, int] | None:
    """The first row of each symbol, by name; None where rows are not in order."""
    if bars.is_empty():
        return {}
    first, symbol = pl.col("symbol").first(), pl.col("symbol")
    name, alone = bars.select(first, (symbol == first).all().alias("alone")).row(0)
    if alone:
        return {name: 0} if bars["ts"].is_sorted() else None
    runs, ts = bars["symbol"].rle().struct.unnest(), bars["ts"].to_numpy()
    names, starts = runs["value"].to_list(), [0, *runs["len"].cum_sum().to_list()[:-1]]
    back = (ts[1:] < ts[:-1]).nonzero()[0] + 1
    ordered = names == sorted(set(names)) and set(starts).issuperset(back)
    return dict(zip(names, starts, strict=True)) if ordered else None
