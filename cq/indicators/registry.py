"""What is known of every indicator: its family, parameters, outputs, unit, range and warm-up."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Generic, Literal, ParamSpec, TypeVar, get_origin

import polars as pl

from cq.errors import UsageError
from cq.indicators.arguments import SPAN, check, kinds_of
from cq.indicators.sharing import kept
from cq.utils.time import interval_ns

P = ParamSpec("P")
R = TypeVar("R", bound="pl.Expr | dict[str, pl.Expr]")

Unit = Literal["price", "change", "ratio", "oscillator", "variance", "volume"]
"""How a value answers to the price: moves and grows with it (price); grows with it, wherever it
stands (change; variance by the square); keeps while it grows (ratio), or whatever it does
(oscillator); counts in base units (volume)."""

Bounds = tuple[float | None, float | None]
FOREVER: Final = None
"""The warm-up of what never forgets its first bar, such as a running total."""


@dataclass(frozen=True)
class Indicator(Generic[P, R]):
    """A function from columns to expressions that knows what to expect of it."""

    function: Callable[P, R]
    family: str
    unit: Unit
    bounds: Bounds
    outputs: tuple[str, ...]
    bars: Callable[..., int | None] = field(repr=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The expression, or the expressions by name; UsageError for an option that is none."""
        for place, name, kind in self._options:
            if name in kwargs:
                check(f"{self.name}: {name}", kwargs[name], kind)
            elif place < len(args):
                check(f"{self.name}: {name}", args[place], kind)
        return kept(self.function(*args, **kwargs))

    @property
    def name(self) -> str:
        """The name by which it is imported and listed."""
        return self.function.__name__

    @property
    def doc(self) -> str:
        """Formula, source, and the rules for flat markets and nulls."""
        return inspect.getdoc(self.function) or ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns it is given, in order."""
        return tuple(one.name for one in self._signature if "Column" in str(one.annotation))

    @property
    def parameters(self) -> dict[str, Any]:
        """What else it takes, with defaults."""
        return {p.name: p.default for p in self._signature if p.name not in self.inputs}

    @cached_property
    def kinds(self) -> dict[str, Any]:
        """What each parameter may be."""
        kinds = kinds_of(self.function)
        return {name: kinds.get(name) for name in self.parameters}

    @cached_property
    def _options(self) -> list[tuple[int, str, Any]]:
        """Parameters that take one of a few words, with their places."""
        places = {one.name: place for place, one in enumerate(self._signature)}
        named = self.kinds.items()
        return [(places[name], name, kind) for name, kind in named if get_origin(kind) is Literal]

    @property
    def _signature(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.function).parameters.values())

    def warmup(
        self, *args: Any, tolerance: float = 1e-9, bar: str | None = None, **kwargs: Any
    ) -> int | None:
        """Bars, the current one included, after which older ones no longer matter.

        Takes the parameters without the columns: `rsi.warmup(14)`. Exact for windows. What is
        recursive forgets its start to `tolerance`, as a share of what it has seen of its scale.
        A window of time needs the bar's length: `sma.warmup("20d", bar="1h")`. None: never.
        """
        given = self.parameters | dict(zip(self.parameters, args, strict=False)) | kwargs
        if unknown := set(given) - set(self.parameters):
            raise UsageError(f"{self.name} has no parameter {sorted(unknown)[0]!r}")
        for name, value in given.items():
            check(f"{self.name}: {name}", value, self.kinds[name])
        spans = {name for name, kind in self.kinds.items() if kind in (SPAN, str)}
        given |= {name: in_bars(given[name], bar) for name in spans}
        wanted = inspect.signature(self.bars).parameters
        given["tolerance"] = tolerance
        return self.bars(**{name: given[name] for name in wanted})


REGISTRY: dict[str, Indicator[..., Any]] = {}
"""Every indicator by its name."""


def indicator(
    family: str,
    unit: Unit,
    warmup: Callable[..., int | None],
    bounds: Bounds = (None, None),
    outputs: tuple[str, ...] = (),
) -> Callable[[Callable[P, R]], Indicator[P, R]]:
    """List the function in the registry; `warmup` takes those of its parameters that it names."""

    def listed(function: Callable[P, R]) -> Indicator[P, R]:
        names = outputs or (function.__name__,)
        made = Indicator(function, family, unit, bounds, names, warmup)
        object.__setattr__(made, "__doc__", function.__doc__)
        REGISTRY[made.name] = made
        return made

    return listed


def in_bars(value: Any, bar: str | None) -> Any:
    """A span such as "20d" as a number of bars; anything else as it is."""
    if not isinstance(value, str) or not value[:1].isdigit():
        return value
    if bar is None:
        raise UsageError(f"a span of {value} has no number of bars; say bar='1h', or what they are")
    return math.ceil(interval_ns(value) / interval_ns(bar)) + 1


def forgets(alpha: float, tolerance: float, times: int = 1) -> int:
    """Bars until a start weighs at most `tolerance` in an exponential mean, `times` smoothed."""
    if alpha >= 1:
        return times
    bars, keep = 1, math.log1p(-alpha)
    while bars * keep + (times - 1) * math.log(bars + 1) > math.log(tolerance / 10):
        bars += max(1, bars // 64)
    return bars


def whole(value: int, name: str = "window", least: int = 1) -> int:
    """`value`, which has to be a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return value


def described(one: Indicator[..., Any]) -> Mapping[str, Any]:
    """Everything about an indicator as plain values; its warm-up is that of the defaults."""
    low, high = one.bounds
    return {
        "name": one.name,
        "family": one.family,
        "inputs": list(one.inputs),
        "parameters": one.parameters,
        "outputs": list(one.outputs),
        "unit": one.unit,
        "range": [low, high],
        "warmup": one.warmup(bar="1h"),
        "doc": one.doc,
    }
