"""Features by name: every indicator, and what needs no indicator; users add their own."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from cq.errors import UsageError
from cq.indicators import log_returns
from cq.indicators.arguments import kinds_of
from cq.indicators.columns import nanoseconds
from cq.indicators.registry import REGISTRY, Indicator, whole
from cq.indicators.windows import deviation
from cq.lake.resample import exact_sum
from cq.utils.names import among
from cq.utils.time import DAY, HOUR

Made = pl.Expr | Mapping[str, pl.Expr]
Make = Callable[..., Made]

BARS: Final = ("open", "high", "low", "close", "volume")
"""Inputs that are taken from the bars where nothing else is said."""


@dataclass(frozen=True)
class Feature:
    """A named way from columns and parameters to an expression, for the bars of one symbol.

    `inputs` are its arguments that are columns. `settled` takes its parameters and the length of a
    bar, and gives how many bars settle a value (the current one included), None where none do.
    `across` features compare the symbols of one moment. `kinds` are the annotations of parameters.
    """

    name: str
    make: Make
    inputs: tuple[str, ...]
    parameters: Mapping[str, Any]
    outputs: tuple[str, ...]
    settled: Callable[[Mapping[str, Any], str], int | None]
    across: bool = False
    kinds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_shipped(self) -> bool:
        """Whether it is one of cq's, an indicator or one of those here."""
        return self.make.__module__.startswith("cq.")

    def source(self, given: str) -> str:
        """The column that an input is taken from where nothing else is said."""
        return given if given in BARS else "close"


FEATURES: dict[str, Feature] = {}
"""Those that are no indicators, by name; those of one strategy's file are its own."""


@dataclass(frozen=True)
class Scope:
    """A module, and the features that are listed while it is run."""

    module: str
    features: dict[str, Feature] = field(default_factory=dict)


_SCOPE: ContextVar[Scope | None] = ContextVar("scope", default=None)


@contextmanager
def features_of(module: str) -> Iterator[dict[str, Feature]]:
    """Features that `module` lists in this block are those of the dictionary, and nobody else's.

    Two files may have features of one name.
    """
    scope = Scope(module)
    token = _SCOPE.set(scope)
    try:
        yield scope.features
    finally:
        _SCOPE.reset(token)


def feature(
    warmup: int | Callable[..., int] = 1, *, across: bool = False, inputs: tuple[str, ...] = ()
) -> Callable[[Make], Make]:
    """List a function as a feature of its name, e.g. `@feature(warmup=lambda window: window)`.

    Arguments without a default are columns (or name them in `inputs`), the others parameters.
    `warmup` says how many bars, the current one included, settle a value; it takes the parameters
    that it names.
    """

    def listed(function: Make) -> Make:
        signature = inspect.signature(function).parameters
        columns = inputs or tuple(
            name for name, one in signature.items() if one.default is inspect.Parameter.empty
        )
        others = {name: one.default for name, one in signature.items() if name not in columns}
        name, scope = function.__name__, _SCOPE.get()
        if name in REGISTRY:
            raise UsageError(f"feature {name}: an indicator has that name; choose another")
        if name in FEATURES and FEATURES[name].is_shipped:
            raise UsageError(f"feature {name}: cq has one of that name; choose another")
        settled, kinds = _settling(warmup), kinds_of(function)
        is_own = scope is not None and scope.module == function.__module__
        listed_in = scope.features if scope is not None and is_own else FEATURES
        listed_in[name] = Feature(name, function, columns, others, (name,), settled, across, kinds)
        return function

    return listed


def _settling(warmup: int | Callable[..., int]) -> Callable[[Mapping[str, Any], str], int]:
    names = () if isinstance(warmup, int) else tuple(inspect.signature(warmup).parameters)

    def settled(parameters: Mapping[str, Any], interval: str) -> int:
        del interval
        if isinstance(warmup, int):
            return warmup
        return warmup(**{name: parameters[name] for name in names})

    return settled


def named(name: str, own: Mapping[str, Feature] = MappingProxyType({})) -> Feature:
    """The feature called `name`, one of `own` first; UsageError with the nearest names for none."""
    known = {**FEATURES, **own}
    if name in known:
        return known[name]
    if name in REGISTRY:
        return _of_indicator(REGISTRY[name])
    from cq.features.labels import LABELS

    if name in LABELS:
        raise UsageError(
            f"{name} is a label: it looks ahead and is for learning only; name it under gate.label"
        )
    raise UsageError(f"no feature {name!r}; {among(name, sorted({*known, *REGISTRY}))}")


def _of_indicator(one: Indicator[..., Any]) -> Feature:
    def settled(parameters: Mapping[str, Any], interval: str) -> int | None:
        return one.warmup(bar=interval, **parameters)

    function, inputs, parameters = one.function, one.inputs, one.parameters
    return Feature(one.name, function, inputs, parameters, one.outputs, settled, kinds=one.kinds)


@feature(warmup=lambda bars: bars + 1)
def log_return(values: pl.Expr, bars: int = 1) -> pl.Expr:
    """ln of the price over that of `bars` bars before; null where one is not above 0."""
    above = pl.when(values > 0).then(values)
    return (above / above.shift(whole(bars, "bars"))).log()


@feature(warmup=lambda bars: bars + 1)
def lag(values: pl.Expr, bars: int = 1) -> pl.Expr:
    """The value of `bars` bars before."""
    return values.shift(whole(bars, "bars", least=0))


@feature(warmup=lambda window: window + 1)
def volatility(values: pl.Expr, window: int = 24) -> pl.Expr:
    """Sample deviation of the last `window` log returns, of one bar."""
    return deviation(log_returns(values), whole(window, least=2), 1)


@feature()
def hour_sine(ts: pl.Expr) -> pl.Expr:
    """The hour of the day (UTC) on a circle: sine."""
    return (nanoseconds(ts) % DAY / DAY * math.tau).sin()


@feature()
def hour_cosine(ts: pl.Expr) -> pl.Expr:
    """The hour of the day (UTC) on a circle: cosine."""
    return (nanoseconds(ts) % DAY / DAY * math.tau).cos()


@feature()
def weekday(ts: pl.Expr) -> pl.Expr:
    """The day of the week (UTC): 1 is Monday."""
    return (nanoseconds(ts) // DAY + 3) % 7 + 1


@feature()
def hour(ts: pl.Expr) -> pl.Expr:
    """The hour of the day (UTC), 0 to 23."""
    return nanoseconds(ts) % DAY // HOUR


@feature(across=True)
def rank(values: pl.Expr) -> pl.Expr:
    """Rank among the symbols of one moment: 0 the least, 1 the greatest; 0.5 where one is alone."""
    among_them = values.count()
    place = (values.rank() - 1) / (among_them - 1)
    return pl.when(values.is_not_null()).then(pl.when(among_them > 1).then(place).otherwise(0.5))


@feature(across=True)
def relative(values: pl.Expr) -> pl.Expr:
    """How far above the mean of the symbols of one moment: the same bits in any order of them."""
    values = values.cast(pl.Float64)
    # of the largest, since a sum is exact of what lies near 1 only
    largest = values.abs().max().clip(lower_bound=sys.float_info.min)
    return values - exact_sum(values / largest) / values.count() * largest
