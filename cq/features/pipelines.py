"""Features put together: what a strategy sees beside the bars, and how much history that needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from cq.errors import CqError, UsageError
from cq.features.coarser import BUCKET_COLUMNS, with_coarser
from cq.features.registry import BARS, Feature, named
from cq.indicators import in_time_order
from cq.indicators.arguments import check
from cq.indicators.stages import in_stages
from cq.lake.resample import divides
from cq.utils.names import among
from cq.utils.time import interval_ns

OWN: Final = ("use", "of", "output", "interval")
"""Keys of a feature that are none of its parameters."""
TIME: Final = "time"
"""What `ts` is called where people read it: a column that every frame may be shown with."""
TEXTS: Final = ("symbol", "exchange")
KEYS: Final = ("ts", *TEXTS, *BARS)
DECIDED: Final = (
    *("label", "label_end_ts", "signal", "signal_before_gate", "target", "weight", "act"),
)
"""Columns that are made after the features, and those called `order_…`."""


@dataclass(frozen=True)
class Step:
    """One feature of a pipeline: its name there, what it is made of, its parameters.

    `columns` are the columns it makes, by output. With `interval` it is computed on coarser bars,
    and each bar sees the newest of those that had closed by its own close.
    """

    name: str
    feature: Feature
    sources: Mapping[str, str]
    parameters: Mapping[str, Any]
    columns: Mapping[str, str]
    interval: str | None = None

    @property
    def described(self) -> dict[str, Any]:
        """What decides its values, as plain ones: parameters that nobody named as well."""
        said = {"use": self.feature.name, "of": dict(self.sources), **self.parameters}
        return {**said, "output": sorted(self.columns), "interval": self.interval}

    def expressions(self) -> dict[str, pl.Expr]:
        """The columns it makes, for bars of one symbol (or of one moment) in time order."""
        sources = {name: pl.col(column) for name, column in self.sources.items()}
        try:
            made = self.feature.make(**sources, **self.parameters)
        except CqError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise UsageError(f"{self.feature.name} cannot be made: {what}") from error
        outputs = made if isinstance(made, Mapping) else {self.feature.outputs[0]: made}
        return {column: outputs[output] for output, column in self.columns.items()}


@dataclass(frozen=True)
class Pipeline:
    """Named features over bars of `interval`, each made of the bars or of those before it.

    `Pipeline.of({"rsi_14": {"use": "rsi", "window": 14}}, "1h")`; keys are `use` (a name of
    `cq indicators` or a feature), its parameters, `of` (the column it is made of, or a mapping of
    its inputs to columns), `interval` (coarser bars), and `output` (one of several).
    """

    interval: str
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(
        cls,
        specs: Mapping[str, Any],
        interval: str,
        own: Mapping[str, Feature] = MappingProxyType({}),
    ) -> Pipeline:
        """Read from plain values; UsageError names the feature and what is wrong with it.

        `own` are features, by name, besides those that everybody has.
        """
        steps: list[Step] = []
        for name, spec in specs.items():
            known = {column for one in steps for column in one.columns.values()}
            try:
                steps.append(_step(name, spec, known, interval, own))
                steps[-1].expressions()  # made now, so that parameters that cannot be are refused
            except UsageError as error:
                raise UsageError(f"features.{name}: {error}") from None
        return cls(interval, tuple(steps))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column it makes, in order."""
        return tuple(column for one in self.steps for column in one.columns.values())

    def behind(self, columns: Iterable[str]) -> list[Step]:
        """The steps that make `columns`, and those that these are made of."""
        wanted, found = set(columns), list[Step]()
        for one in reversed(self.steps):
            if wanted & set(one.columns.values()):
                found.append(one)
                wanted |= set(one.sources.values())
        return found[::-1]

    @cached_property
    def warmup(self) -> int:
        """Bars, the current one included, that settle every feature; 1 without features.

        UsageError for a feature that never forgets its first bar.
        """
        return max((self._bars[one.name] for one in self.steps), default=1)

    @cached_property
    def _bars(self) -> dict[str, int]:
        found: dict[str, int] = {}
        maker = {column: one.name for one in self.steps for column in one.columns.values()}
        for one in self.steps:
            own = one.feature.settled(one.parameters, one.interval or self.interval)
            if own is None:
                raise UsageError(
                    f"features.{one.name}: {one.feature.name} never forgets its first bar, so that "
                    "signals would depend on where history starts; take something that does"
                )
            if one.interval is not None:  # a bucket may have begun before the first bar
                ratio = -(-interval_ns(one.interval) // interval_ns(self.interval))
                own = (own + 2) * ratio
            below = [found[maker[c]] for c in one.sources.values() if c in maker]
            found[one.name] = own + max(below, default=1) - 1
        return found

    @cached_property
    def compares(self) -> int:
        """How many times symbols of one moment are compared, one comparison above the other."""
        return sum(any(one.feature.across for one in level) for level in self._levels())

    def apply(self, bars: pl.LazyFrame) -> pl.LazyFrame:
        """`bars` with every feature, each row where it was."""
        for level in self._levels():
            for interval in sorted({one.interval for one in level if one.interval is not None}):
                coarse = [one for one in level if one.interval == interval]
                bars = with_coarser(bars, self.interval, interval, coarse)
            near = [one for one in level if one.interval is None]
            bars = _added(bars, [one for one in near if not one.feature.across], in_time_order)
            across = [one for one in near if one.feature.across]
            bars = _added(bars, [one for one in across if one.feature.is_shipped], _at_one_moment)
            bars = _added(bars, [one for one in across if not one.feature.is_shipped], _by_name)
        return bars

    def _levels(self) -> list[list[Step]]:
        """Steps that can be computed together, those that need others after them."""
        depth: dict[str, int] = {}
        levels: list[list[Step]] = []
        for one in self.steps:
            mine = max((depth.get(c, -1) for c in one.sources.values()), default=-1) + 1
            depth |= dict.fromkeys(one.columns.values(), mine)
            if mine == len(levels):
                levels.append([])
            levels[mine].append(one)
        return levels


def _at_one_moment(expr: pl.Expr) -> pl.Expr:
    return expr.over("ts")


def _by_name(expr: pl.Expr) -> pl.Expr:
    """At one moment, its symbols by name: the last bits of a sum of one's own depend on order."""
    return expr.over("ts", order_by="symbol")


def _added(bars: pl.LazyFrame, steps: Iterable[Step], each: Any) -> pl.LazyFrame:
    steps = list(steps)
    if not steps:
        return bars

    def make() -> dict[str, pl.Expr]:
        return {name: expr for one in steps for name, expr in one.expressions().items()}

    return in_stages(make, each)(bars)


def _step(name: str, spec: Any, known: set[str], interval: str, own: Mapping[str, Feature]) -> Step:
    """One feature as it is written; `known` are the columns of those before it."""
    if isinstance(spec, str):
        spec = {"use": spec}
    if not isinstance(spec, Mapping) or not isinstance(spec.get("use"), str):
        raise UsageError("expected {use: NAME, …}, such as {use: rsi, window: 14}")
    if name in KEYS or name.startswith("_") or not name.isidentifier():
        raise UsageError("is no name for a column of its own")
    one = named(spec["use"], own)
    given = {key: value for key, value in spec.items() if key not in OWN}
    if unknown := sorted(set(given) - set(one.parameters)):
        there = among(unknown[0], sorted({*one.parameters, *OWN}))
        raise UsageError(f"{one.name} has no parameter {unknown[0]!r}; {there}")
    for parameter, value in given.items():
        check(parameter, value, one.kinds.get(parameter))
    coarse = spec.get("interval")
    if coarse is not None:
        _check_interval(coarse, interval, one)
    sources = _sources(one, spec.get("of"), known, coarse)
    columns = _columns(name, one, spec.get("output"))
    _check_columns([name, *columns.values()], known)
    return Step(name, one, sources, {**one.parameters, **given}, columns, coarse)


def _check_columns(columns: Iterable[str], known: set[str]) -> None:
    for column in columns:
        if column in DECIDED or column.startswith("order_"):
            raise UsageError(
                f"{column} is a column that decisions and labels are written to; choose another "
                "name, which is not order_… either"
            )
        if column in (*KEYS, TIME) or column in known:
            raise UsageError(
                f"{column} is a column already, of the bars or of a feature above; choose "
                "another name"
            )


def _check_interval(coarse: Any, interval: str, one: Feature) -> None:
    interval_ns(str(coarse))
    if not divides(interval, str(coarse)):
        raise UsageError(f"interval {coarse} is not made of whole bars of {interval}")
    if one.across:
        raise UsageError(f"{one.name} compares symbols; it has no interval")


def _sources(one: Feature, of: Any, known: set[str], coarse: str | None) -> dict[str, str]:
    sources = {name: "ts" if name == "ts" else one.source(name) for name in one.inputs}
    if isinstance(of, str) and one.inputs:
        of = {one.inputs[0]: of}
    if of is not None:
        if not isinstance(of, Mapping) or (strange := set(of) - set(one.inputs)):
            told = f"has no input {sorted(strange)[0]!r}" if isinstance(of, Mapping) else "is odd"
            raise UsageError(f"of {told}; {one.name} takes {', '.join(one.inputs) or 'none'}")
        sources |= of
    _check_compared(one, sources, of or {})
    there = BUCKET_COLUMNS if coarse else (*KEYS, *known)
    for column in sources.values():
        if column in TEXTS and one.is_shipped:
            raise UsageError(f"of {column!r} is a text; {one.name} takes numbers, such as close")
        if column not in there:
            raise UsageError(f"of {column!r} is no column yet; {among(str(column), sorted(there))}")
    return sources


def _check_compared(one: Feature, sources: Mapping[str, str], of: Mapping[str, Any]) -> None:
    """UsageError where a column would be compared with itself, since `of` does not name another."""
    free = [name for name in one.inputs if name not in ("ts", *BARS)]
    for name in free:
        others = [sources[other] for other in free if other != name]
        if name not in of and sources[name] in others:
            named = ", ".join(f"{each}: COLUMN" for each in free)
            raise UsageError(f"{one.name} compares columns; name them, of: {{{named}}}")


def _columns(name: str, one: Feature, output: Any) -> dict[str, str]:
    """Output → column: one alone is called as the feature is, several have their names behind."""
    if output is not None:
        if output not in one.outputs:
            raise UsageError(f"no output {output!r}; {one.name} makes {', '.join(one.outputs)}")
        return {output: name}
    if len(one.outputs) == 1:
        return {one.outputs[0]: name}
    return {each: f"{name}_{each}" for each in one.outputs}
