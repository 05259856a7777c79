"""What a lazy plan says of itself: expressions that reach for later rows, by name.

Read from the plan before anything is computed. Expressions for groups of one moment (`over("ts")`)
look sideways, not ahead; what a user's Python function does inside a plan cannot be read.
"""

from __future__ import annotations

import io
import json
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

WHOLE: Final = frozenset(
    {"Min", "Max", "Median", "Mean", "Sum", "Std", "Var", "Last", "NUnique", "Quantile", "Count"}
    | {"Implode", "Item"}
)
"""Aggregates that need every row of a column; `First` knows only the oldest."""

REACHING: Final = {
    "Quantile": "the quantile of a whole column",
    "Rank": "the rank within a whole column",
    "QCut": "quantiles of a whole column",
    "Mode": "the mode of a whole column",
    "ArgMax": "the place of a column's maximum",
    "ArgMin": "the place of a column's minimum",
    "TopK": "the largest of a whole column",
    "Reverse": "a reversed column",
    "Interpolate": "interpolation towards the next value",
    "InterpolateBy": "interpolation towards the next value",
    "Skew": "the skewness of a whole column",
    "Kurtosis": "the kurtosis of a whole column",
    "Entropy": "the entropy of a whole column",
    "Hist": "the histogram of a whole column",
    "Correlation": "the correlation of whole columns",
}
MOVES: Final = {"Shift": "shift", "Diff": "diff", "PctChange": "pct_change"}
NODES: Final = ("Select", "HStack", "Filter", "Join", "GroupBy", "Sort")


@dataclass(frozen=True, order=True)
class Suspicion:
    """An expression that reaches ahead, and the column it makes ("" where it makes none)."""

    column: str
    what: str


def suspicions(plan: pl.LazyFrame) -> list[Suspicion]:
    """Every expression of the plan that reads rows later than the one it is for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the form is not promised to stay; the tests hold it
        told = json.loads(plan.serialize(format="json"))
    return sorted(set(_of_plan(told)))


def is_opaque(plan: pl.LazyFrame) -> bool:
    """Whether a Python function stands in the plan, which cannot be read.

    Those of `cq.indicators` are known to look back only: the tests run every one of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = json.loads(plan.serialize(format="json"))
    return any(not _is_ours(bytes(one)) for one in _functions(told))


def _functions(node: Any) -> Iterator[list[int]]:
    """Python functions, of columns or of frames, as they are kept in a plan."""
    if isinstance(node, list):
        for one in node:
            yield from _functions(one)
    elif isinstance(node, Mapping):
        for name, value in node.items():
            if name in ("AnonymousFunction", "OpaquePython"):
                yield value["function"]
            if name != "df":
                yield from _functions(value)


class _Ours(pickle.Unpickler):
    """Reads what is made of our own functions and of arrays, and refuses the rest."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] in ("polars", "numpy") or module.startswith("cq.indicators."):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(module)


def _is_ours(kept: bytes) -> bool:
    _, begins, rest = kept.partition(b"\x80")
    try:
        _Ours(io.BytesIO(begins + rest)).load()
    except Exception:
        return False
    return b"cq.indicators." in kept


def _of_plan(node: Any) -> Iterator[Suspicion]:
    """Suspicions in a plan's nodes and, within them, in their expressions."""
    if isinstance(node, list):
        for one in node:
            yield from _of_plan(one)
        return
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        if name in ("df", "schema"):
            continue
        if name == "GroupBy":
            yield from _grouped(value)
        elif name == "Join":
            yield from _joined(value)
        elif name in ("expr", "exprs", "predicate"):
            yield from _of_expression(value, "", sideways=False)
        else:
            yield from _of_plan(value)


def _grouped(value: Mapping[str, Any]) -> Iterator[Suspicion]:
    """Groups by time are windows; groups of all time are whole columns."""
    yield from _of_plan(value["input"])
    options = value.get("options") or {}
    timed = bool(options.get("dynamic") or options.get("rolling")) or _mentions_time(value["keys"])
    for one in value["aggs"]:
        yield from _of_expression(one, "", sideways=timed)


def _joined(value: Mapping[str, Any]) -> Iterator[Suspicion]:
    for side in ("input_left", "input_right"):
        yield from _of_plan(value[side])
    how = ((value.get("options") or {}).get("args") or {}).get("how")
    if isinstance(how, Mapping) and "AsOf" in how:
        strategy = str((how["AsOf"] or {}).get("strategy", "Backward"))
        if strategy != "Backward":
            yield Suspicion("", f"join_asof(strategy={strategy.lower()!r}) takes later rows")


def _of_expression(node: Any, column: str, *, sideways: bool) -> Iterator[Suspicion]:
    """Suspicions in one expression that makes `column`; `sideways` groups hold one moment each."""
    if isinstance(node, list):
        for one in node:
            yield from _of_expression(one, column, sideways=sideways)
        return
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        if name == "Alias":
            yield from _of_expression(value[0], value[1], sideways=sideways)
        elif name == "Over":
            inner = sideways or _mentions_time(value["partition_by"])
            yield from _of_expression(value["function"], column, sideways=inner)
        elif name == "Rolling":
            yield from _windowed(value, column)
        elif name == "Agg" and not sideways:
            yield from _aggregated(value, column)
        elif name == "Function":
            yield from _function(value, column, sideways=sideways)
        else:
            yield from _of_expression(value, column, sideways=sideways)


def _aggregated(value: Mapping[str, Any], column: str) -> Iterator[Suspicion]:
    for name, inner in value.items():
        if name in WHOLE:
            yield Suspicion(column, f"the {name.lower()} of a whole column is given to each row")
        yield from _of_expression(inner, column, sideways=False)


def _windowed(value: Mapping[str, Any], column: str) -> Iterator[Suspicion]:
    """`expr.rolling(ts, period, offset)`: ahead where the window ends after the row."""
    offset, period = value.get("offset"), value.get("period")
    if isinstance(offset, Mapping) and isinstance(period, Mapping):
        ends = _length(offset) + _length(period)
        if ends > 0:
            yield Suspicion(column, "a rolling window ends after its row")
    yield from _of_expression(value["function"], column, sideways=True)


def _length(duration: Mapping[str, Any]) -> int:
    months = {"months": 30, "weeks": 7, "days": 1}
    days = sum(days * int(duration.get(name, 0)) for name, days in months.items())
    total = days * 86_400_000_000_000 + int(duration.get("nsecs", 0))
    return -total if duration.get("negative") else total


def _function(value: Mapping[str, Any], column: str, *, sideways: bool) -> Iterator[Suspicion]:
    told = value["function"]
    name, options = next(iter(told.items())) if isinstance(told, Mapping) else (told, None)
    if not sideways and name != "Range":
        yield from _called(str(name), options, value["input"], column)
    if name != "Range":  # int_range(len()) numbers rows, it does not look at them
        yield from _of_expression(value["input"], column, sideways=sideways)


def _called(name: str, options: Any, inputs: list[Any], column: str) -> Iterator[Suspicion]:
    if name in MOVES:
        places = _whole_number(inputs[1]) if len(inputs) > 1 else 1
        if places is None:
            yield Suspicion(column, f"{MOVES[name]} by a number that is not known beforehand")
        elif places < 0:
            yield Suspicion(column, f"{MOVES[name]}({places}) takes later rows")
    elif name in REACHING:
        yield Suspicion(column, f"{REACHING[name]} is given to each row")
    elif name.startswith("Cum") and isinstance(options, Mapping) and options.get("reverse"):
        yield Suspicion(column, f"cum_{name[3:].lower()}(reverse=True) sums later rows")
    elif name == "FillNullWithStrategy":
        how = options if isinstance(options, str) else next(iter(options or {"": 0}))
        if how not in ("Forward", "Zero", "One"):
            yield Suspicion(column, f"fill_null(strategy={how.lower()!r}) takes later rows")
    elif "rolling" in name.lower() and '"center": true' in json.dumps(options):
        yield Suspicion(column, "a centred rolling window reaches half its length ahead")


def _whole_number(node: Any) -> int | None:
    """The literal number of a node; None where it is computed."""
    if not isinstance(node, Mapping) or "Literal" not in node:
        return None
    found = [int(x) for x in _leaves(node) if isinstance(x, int) and not isinstance(x, bool)]
    return found[0] if len(found) == 1 else None


def _leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for one in node.values():
            yield from _leaves(one)
    elif isinstance(node, list):
        for one in node:
            yield from _leaves(one)
    else:
        yield node


def _mentions_time(node: Any) -> bool:
    """Whether a key is made of the column `ts` or `time`."""
    if isinstance(node, Mapping):
        return node.get("Column") in ("ts", "time") or any(map(_mentions_time, node.values()))
    return isinstance(node, list) and any(map(_mentions_time, node))
