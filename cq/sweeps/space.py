"""Which parameters are tried: `fast=5:50:5` and the like, and the combinations of them."""

from __future__ import annotations

import itertools
import math
import random
import re
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from cq.errors import UsageError
from cq.utils.yamls import parse_scalar

MOST: Final = 1_000_000
"""Combinations of one sweep, at the most."""
LARGEST: Final = 300
"""Powers of ten that the ends and the step of a range may have: floats end soon after."""
EXPONENT: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""Numbers that YAML takes for text where they lack a dot or a sign."""
FORMS: Final = "expected NAME=FIRST:LAST:STEP or NAME=A,B,C, such as fast=5:50:5"
FIXED: Final = ("kind", "name", "python")
"""What makes another strategy, not another parameter."""

Point = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """One parameter and its values: a list, or all floats of a `span` (drawn, never listed)."""

    name: str
    values: tuple[Any, ...] = ()
    span: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        seen: set[Any] = set()
        for one in self.values:
            nested = isinstance(one, list | dict | tuple)
            key = repr(one) if nested else (isinstance(one, bool), one)
            if key in seen:  # each would be a trial, and luck counts trials
                raise UsageError(f"--grid {self.name}: {one} stands there twice; say it once")
            seen.add(key)

    @classmethod
    def of(cls, text: str) -> Axis:
        """`fast=5:50:5` (the last value included), `fast=5:50` (each whole number, or any float
        between), `average=sma,ema`."""
        name, equals, said = text.partition("=")
        name = name.strip()
        if not equals or not name or not said.strip():
            raise UsageError(f"--grid {text}: {FORMS}")
        if name in FIXED:
            raise UsageError(f"--grid {text}: {name} makes another strategy; sweep its own file")
        if ":" not in said:
            return cls(name, tuple(_value(one.strip()) for one in said.split(",")))
        return cls._ranged(name, said, text)

    @classmethod
    def _ranged(cls, name: str, said: str, text: str) -> Axis:
        try:
            parts = [Decimal(part.strip()) for part in said.split(":")]
        except InvalidOperation:
            raise UsageError(f"--grid {text}: {FORMS}") from None
        if len(parts) not in (2, 3) or not all(one.is_finite() for one in parts):
            raise UsageError(f"--grid {text}: {FORMS}")
        if any(abs(one.adjusted()) > LARGEST for one in parts if one):
            raise UsageError(
                f"--grid {text}: expected numbers between 1e-{LARGEST} and 1e{LARGEST}"
            )
        return cls._stepped(name, parts, text)

    @classmethod
    def _stepped(cls, name: str, parts: Sequence[Decimal], text: str) -> Axis:
        low, high, *rest = parts
        whole = all(one == one.to_integral_value() and "." not in str(one) for one in parts)
        if low > high:
            raise UsageError(f"--grid {text}: {low} lies above {high}")
        if not rest and not whole:
            return cls(name, span=(float(low), float(high)))
        step = rest[0] if rest else Decimal(1)
        if step <= 0:
            raise UsageError(f"--grid {text}: a step of {step}; expected one above 0")
        count = int((high - low) / step) + 1
        if count > MOST:
            found = f"{count:,} values" if count < 1e15 else "too many values"
            raise UsageError(f"--grid {text}: {found}; {MOST:,} at the most")
        kind: type = int if whole else float
        return cls(name, tuple(kind(low + i * step) for i in range(count)))

    @classmethod
    def made(cls, name: str, values: Any) -> Axis:
        """The axis that a caller in Python means: a text as above, or values one by one."""
        if isinstance(values, str):
            return cls.of(f"{name}={values}")
        if not isinstance(values, Sequence | range) or not len(values):
            raise UsageError(f"grid {name}: found {values!r}; expected values, or a text like 5:50")
        return cls(name, tuple(values))


def axes_of(grid: Sequence[str] | Mapping[str, Any]) -> tuple[Axis, ...]:
    """The axes that are said, each once, in their order."""
    if isinstance(grid, Mapping):
        found = tuple(Axis.made(name, values) for name, values in grid.items())
    else:
        found = tuple(Axis.of(text) for text in grid)
    if not found:
        raise UsageError("nothing to try; say what, such as --grid fast=5:50:5")
    names = [one.name for one in found]
    if twice := [one for one in names if names.count(one) > 1]:
        raise UsageError(f"--grid {twice[0]} is said twice; name all its values once")
    for one, two in itertools.permutations(found, 2):
        whole = all(isinstance(value, Mapping) for value in one.values)
        if two.name.startswith(f"{one.name}.") and not whole:
            raise UsageError(
                f"--grid {one.name} and {two.name} set the same thing; take one of them"
            )
    return found


def refuse_twice(axes: Sequence[Axis], overrides: Sequence[str]) -> None:
    """UsageError where `overrides` (`key=value`) say of all trials what an axis says of each."""
    for text in overrides:
        key = text.partition("=")[0].strip()
        for one in axes:
            if f"{key}.".startswith(f"{one.name}."):
                raise UsageError(
                    f"{key} is set for all trials, and --grid {one.name} tries values of it; take "
                    "one of them"
                )


def _value(text: str) -> Any:
    """What YAML makes of a text; `1e-3` is a number, as people write it."""
    value = parse_scalar(text)
    return float(text) if value == text and EXPONENT.fullmatch(text) else value


def grid(axes: Sequence[Axis]) -> tuple[int, Iterator[Point]]:
    """How many combinations there are, and each of them, the last axis fastest."""
    if wide := [one.name for one in axes if one.span]:
        raise UsageError(
            f"--grid {wide[0]} has no step; say one, or draw from it with --random or --optuna"
        )
    count = math.prod(len(one.values) for one in axes)
    if count > MOST:
        raise UsageError(f"{count:,} combinations; {MOST:,} at the most: draw some with --random")
    names = [one.name for one in axes]
    each = itertools.product(*(one.values for one in axes))
    return count, (dict(zip(names, values, strict=True)) for values in each)


def corners(axes: Sequence[Axis], whole: Container[str]) -> Iterator[Point]:
    """Each combination of all values of the axes in `whole`, and of the ends of the others."""
    ends = (one.span or (one.values[0], one.values[-1]) for one in axes)
    each = [one.values if one.name in whole else end for one, end in zip(axes, ends, strict=True)]
    names = [one.name for one in axes]
    return (dict(zip(names, values, strict=True)) for values in itertools.product(*each))


def drawn(axes: Sequence[Axis], count: int, seed: int) -> tuple[int, Iterator[Point]]:
    """`count` combinations drawn by `seed`; of listed values no combination twice."""
    chance = random.Random(seed)  # noqa: S311  # nothing secret: the same seed, the same trials
    if any(one.span for one in axes):
        return count, (_any(axes, chance) for _ in range(count))
    total = math.prod(len(one.values) for one in axes)
    places = _places(total, min(count, total), chance)
    return len(places), (_at(axes, place) for place in places)


def _places(total: int, count: int, chance: random.Random) -> list[int]:
    """So many numbers below `total`, none of them twice."""
    if total <= sys.maxsize:
        return chance.sample(range(total), count)
    found: dict[int, None] = {}  # Python counts no range that is longer
    while len(found) < count:
        found[chance.randrange(total)] = None
    return list(found)


def _any(axes: Sequence[Axis], chance: random.Random) -> Point:
    return {
        one.name: chance.uniform(*one.span) if one.span else chance.choice(one.values)
        for one in axes
    }


def _at(axes: Sequence[Axis], place: int) -> Point:
    """The combination at `place` of the grid."""
    found = {}
    for one in reversed(axes):
        place, at = divmod(place, len(one.values))
        found[one.name] = one.values[at]
    return {one.name: found[one.name] for one in axes}
