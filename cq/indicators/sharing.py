"""Indicators that many plans over the same bars have in common, computed once.

Inside `shared_by(pool)` an indicator is a column of the pool's instead of its own expression; the
pool knows which expressions stand for which columns, those of others first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, TypeVar

import polars as pl

R = TypeVar("R", bound="pl.Expr | dict[str, pl.Expr]")
PREFIX: Final = "__cq_shared_"


@dataclass
class Pool:
    """The expressions of indicators by their columns' names, and which were asked for last."""

    expressions: dict[str, pl.Expr] = field(default_factory=dict)
    asked: dict[str, None] = field(default_factory=dict)
    _names: dict[bytes, str] = field(default_factory=dict)

    def column(self, expression: pl.Expr) -> pl.Expr:
        """The column that stands for an expression; one for the same expression."""
        try:
            key = expression.meta.serialize()
        except (pl.exceptions.PolarsError, TypeError, AttributeError):
            return expression  # nobody can tell whether it is the same as another
        name = self._names.setdefault(key, f"{PREFIX}{len(self._names)}")
        self.expressions.setdefault(name, expression)
        self.asked.update(dict.fromkeys(one for one in self.needs(name)))
        self.asked[name] = None
        return pl.col(name)

    def needs(self, name: str) -> list[str]:
        """The other columns of the pool that one is made of."""
        roots = self.expressions[name].meta.root_names()
        return [one for one in dict.fromkeys(roots) if one.startswith(PREFIX)]


_POOL: ContextVar[Pool | None] = ContextVar("pool", default=None)


@contextmanager
def shared_by(pool: Pool) -> Iterator[None]:
    """Plans made inside take their indicators from the pool's columns."""
    token = _POOL.set(pool)
    try:
        yield
    finally:
        _POOL.reset(token)


def kept(found: R) -> R:
    """What an indicator gives: as it is, or as columns of the pool."""
    pool = _POOL.get()
    if pool is None:
        return found
    if isinstance(found, dict):
        return {name: pool.column(one) for name, one in found.items()}  # type: ignore[return-value]
    return pool.column(found)  # type: ignore[return-value]
