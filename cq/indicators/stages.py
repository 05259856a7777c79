"""Steps that several outputs share, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

import polars as pl

PREFIX: Final = "__cq_stage_"


@dataclass
class Stages:
    """Columns for a while: each may use those before it."""

    known: list[tuple[pl.Expr, str]] = field(default_factory=list)
    levels: dict[str, int] = field(default_factory=dict)

    def column(self, expr: pl.Expr) -> pl.Expr:
        """The column that will hold `expr`; the same one for the same expression."""
        for one, name in self.known:
            if one.meta.eq(expr):
                return pl.col(name)
        name = f"{PREFIX}{len(self.known)}"
        below = [self.levels[root] for root in expr.meta.root_names() if root in self.levels]
        self.levels[name] = max(below, default=-1) + 1
        self.known.append((expr, name))
        return pl.col(name)

    def steps(self) -> list[dict[str, pl.Expr]]:
        """What to add to a frame, step after step."""
        found: list[dict[str, pl.Expr]] = [
            {} for _ in range(max(self.levels.values(), default=-1) + 1)
        ]
        for expr, name in self.known:
            found[self.levels[name]][name] = expr
        return found


_OPEN: ContextVar[Stages | None] = ContextVar("stages", default=None)


def share(expr: pl.Expr) -> pl.Expr:
    """`expr`, which several outputs use: a column of its own where the plan is made in stages.

    Polars finds repeated expressions one level deep only, so that nested ones are computed again
    and again in a plan of one step.
    """
    stages = _OPEN.get()
    return expr if stages is None else stages.column(expr)


@contextmanager
def staged() -> Iterator[Stages]:
    """Indicators made inside put what they share into the stages."""
    stages = Stages()
    token = _OPEN.set(stages)
    try:
        yield stages
    finally:
        _OPEN.reset(token)


Each = Callable[[pl.Expr], pl.Expr]


def in_stages(
    make: Callable[[], Mapping[str, pl.Expr]], each: Each
) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    """The function that adds what `make` names to a frame, `each` wrapped around every step."""
    with staged() as stages:
        made = dict(make())
    steps = [*stages.steps(), made]

    def add(frame: pl.LazyFrame) -> pl.LazyFrame:
        for step in steps:
            frame = frame.with_columns(**{name: each(expr) for name, expr in step.items()})
        return frame.drop([name for _, name in stages.known])

    return add
