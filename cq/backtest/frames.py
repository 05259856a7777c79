"""Frames of bars: in order, and symbol by symbol."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

import polars as pl

from cq.backtest.steps import least_and_most_of_each
from cq.errors import DataError

Steps = tuple[int, int]
"""The shortest and the longest time from one bar to the next."""
UNEVEN: Final = 0.1
"""Steps that are off a grid by no more of it lie on it: months, quarters and years do."""


@dataclass(frozen=True)
class Part:
    """What was read of one symbol: rows of `whole` from `begin` to before `end`, oldest first.

    Its column `target` holds targets, or signals where a target is `each` of them. `steps` are
    those of its bars, where known; its prices are `sound` where they have been looked at.
    """

    symbol: str
    whole: pl.DataFrame
    begin: int
    end: int
    steps: Steps | None = None
    each: float | None = None
    sound: bool = False

    @classmethod
    def alone(cls, symbol: str, rows: pl.DataFrame, each: float | None = None) -> Part:
        """All rows of a frame."""
        return cls(symbol, rows, 0, rows.height, each=each)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """Those of the symbol."""
        return self.whole.slice(self.begin, self.end - self.begin)


class Ordered(NamedTuple):
    """Rows symbol by symbol, by name, each oldest first; `edges` are where they begin and end."""

    rows: pl.DataFrame
    names: tuple[str, ...]
    edges: tuple[int, ...]
    steps: tuple[Steps, ...]

    @classmethod
    def of(cls, bars: pl.DataFrame) -> Ordered:
        """The rows as they are where they lie so, else sorted.

        DataError where two bars of a symbol lie further apart than nanoseconds can be counted.
        """
        found = cls._symbol_by_symbol(bars)
        if found is None or found._goes_back:
            found = cls._symbol_by_symbol(bars.sort(pl.col("symbol").cast(pl.String), "ts"))
            assert found is not None
            if found._goes_back:  # such a step wraps round
                raise DataError(
                    "two rows of a symbol lie more than 292 years apart; ts is counted in "
                    "nanoseconds since 1970 (UTC)"
                )
        return found

    @property
    def _goes_back(self) -> bool:
        return any(least < 0 for least, _ in self.steps)

    @classmethod
    def _symbol_by_symbol(cls, bars: pl.DataFrame) -> Ordered | None:
        starts = _starts(bars)
        if starts is None:
            return None
        ts, edges = bars["ts"].to_numpy(), (*starts.values(), bars.height)
        return cls(bars, tuple(starts), edges, tuple(least_and_most_of_each(ts, edges)))

    def with_rows(self, rows: pl.DataFrame) -> Ordered:
        """Other columns of the same bars."""
        return self._replace(rows=rows)

    def only(self, symbols: Collection[str]) -> Ordered:
        """The rows of these symbols; the same where there are no others."""
        if set(self.names) <= set(symbols):
            return self
        ends = zip(self.names, pairwise(self.edges), strict=True)
        kept = [self.rows.slice(a, b - a) for name, (a, b) in ends if name in symbols]
        return Ordered.of(pl.concat(kept))

    def on_a_grid_of(self, step: int) -> bool:
        """Whether bars of every symbol lie whole numbers of steps apart, as months or years do."""
        for a, b in pairwise(self.edges):
            steps = self.rows["ts"][a:b].diff() / step
            if ((steps - steps.round()).abs() > UNEVEN).any():
                return False
        return True

    def with_text(self) -> Ordered:
        """The same with symbols as text, where they are categories."""
        if self.rows.schema["symbol"] == pl.String:
            return self
        return self.with_rows(self.rows.with_columns(pl.col("symbol").cast(pl.String)))

    def parts(self, each: float | None = None) -> list[Part]:
        """One part a symbol; where a target is `each` of its signal, signals are the targets."""
        rows = self.rows.drop("symbol", strict=False)
        ends = pairwise(self.edges)
        found = zip(self.names, ends, self.steps, strict=True)
        return [Part(name, rows, a, b, steps, each) for name, (a, b), steps in found]

    @property
    def shortest_step(self) -> int:
        """The shortest time between two bars of a symbol; 0 where no symbol has two."""
        found = []
        for (a, b), (least, most) in zip(pairwise(self.edges), self.steps, strict=True):
            if least == 0 < most:  # bars repeat
                ts = self.rows["ts"][a:b].to_numpy()
                steps = ts[1:] - ts[:-1]
                least = int(steps[steps > 0].min())
            if most > 0:
                found.append(least)
        return min(found, default=0)


def _starts(bars: pl.DataFrame) -> dict[str, int] | None:
    """The first row of each symbol, by name; None where symbols are not in order."""
    if bars.is_empty():
        return {}
    symbol = pl.col("symbol")  # as an expression: where all rows share it, no column is made of it
    first, last = bars.select(first=symbol.first(), last=symbol.last()).row(0)
    if first == last and bars.select((symbol == first).all()).item():
        return {first: 0}
    runs = bars["symbol"].rle().struct.unnest()
    names, starts = runs["value"].to_list(), [0, *runs["len"].cum_sum().to_list()[:-1]]
    return dict(zip(names, starts, strict=True)) if names == sorted(set(names)) else None
