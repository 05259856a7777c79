"""What a parameter may be, read from its annotation; what is none of that is said in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cq.errors import UsageError
from cq.utils.time import interval_ns

SPAN = int | str
"""A number of bars, or a span of time such as "20d"."""


def kinds_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's arguments; none where one of them is known nowhere."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # a user's own, made for type checkers only
        return {}


def check(name: str, value: Any, kind: Any) -> None:
    """UsageError where `value` is nothing that the annotation `kind` takes; others take all."""
    if expected := _expected(value, kind):
        raise UsageError(f"{name} is {value!r}; {expected}")


def _expected(value: Any, kind: Any) -> str | None:
    """What was expected in the place of `value`; None where that is it."""
    if get_origin(kind) is Literal:
        there = get_args(kind)
        return None if value in there else f"there is {', '.join(map(str, there))}"
    number = isinstance(value, Real) and not isinstance(value, bool)
    whole = number and isinstance(value, Integral)
    if kind is int:
        return None if whole else "expected a whole number"
    if kind is float:
        return None if number and math.isfinite(value) else "expected a number"
    if kind == SPAN:
        return None if whole or _is_span(value) else "expected bars, or a span such as 20d"
    if kind is str:
        return None if isinstance(value, str) else "expected a text"
    return None


def _is_span(value: Any) -> bool:
    try:
        return isinstance(value, str) and interval_ns(value) > 0
    except UsageError:
        return False
