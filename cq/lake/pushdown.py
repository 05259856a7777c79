"""Filters of Polars in SQL, where both mean the same for every row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

import polars as pl

from cq.lake.views import quoted, text

WHOLE = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
COMPARED = {
    "Eq": "=", "NotEq": "<>", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">=",
    "EqValidity": "is not distinct from", "NotEqValidity": "is distinct from",
}  # fmt: skip
JOINED = {"And": "and", "LogicalAnd": "and", "Or": "or", "LogicalOr": "or"}
ENDS = {"Both": (">=", "<="), "Left": (">=", "<"), "Right": (">", "<="), "None": (">", "<")}
PLAIN = {"IsNull": "is null", "IsNotNull": "is not null"}
MOST = 10_000
"""Members of a list that become SQL."""


class Untranslatable(Exception):
    """A part of a filter that SQL has no equal of, or none that is known to be one."""


def as_sql(predicate: pl.Expr, schema: Mapping[str, pl.DataType]) -> tuple[list[str], bool]:
    """Conditions that rows which pass `predicate` meet, and whether meeting them is enough."""
    try:
        tree = json.loads(predicate.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, ValueError):
        return [], False
    found, enough = [], True
    for part in _conjuncts(tree):
        try:
            found.append(_condition(part, schema))
        except Untranslatable:
            enough = False
    return found, enough


def _conjuncts(node: Any) -> list[Any]:
    """The parts that all have to hold."""
    if isinstance(node, dict) and "BinaryExpr" in node:
        both = node["BinaryExpr"]
        if both["op"] in ("And", "LogicalAnd"):
            return _conjuncts(both["left"]) + _conjuncts(both["right"])
    return [node]


def _condition(node: Any, schema: Mapping[str, pl.DataType]) -> str:
    """A truth value in SQL: true, false and null where Polars says so."""
    match node:
        case {"Column": str(name)} if schema.get(name) == pl.Boolean:
            return quoted(name)
        case {"BinaryExpr": {"left": left, "op": str(op), "right": right}} if op in JOINED:
            return f"({_condition(left, schema)} {JOINED[op]} {_condition(right, schema)})"
        case {"BinaryExpr": {"left": left, "op": str(op), "right": right}} if op in COMPARED:
            return f"({' '.join((*_compared(left, COMPARED[op], right, schema),))})"
        case {"Function": {"input": list(inputs), "function": {"Boolean": function}}}:
            return _function(inputs, function, schema)
    raise Untranslatable


def _compared(left: Any, sign: str, right: Any, schema: Mapping[str, pl.DataType]) -> list[str]:
    """A column and a value, or two columns, of one type."""
    kinds = [schema.get(one["Column"]) for one in (left, right) if "Column" in one]
    if not kinds or any(kind is None or kind != kinds[0] for kind in kinds):
        raise Untranslatable
    return [_operand(left, kinds[0]), sign, _operand(right, kinds[0])]


def _operand(node: Any, kind: Any) -> str:
    match node:
        case {"Column": str(name)} if _is_known(kind):
            return quoted(name)
        case {"Literal": {"Scalar": dict(scalar)}}:
            return _literal(_value(node), kind, scalar)
    raise Untranslatable


def _is_known(kind: Any) -> bool:
    return kind in (*WHOLE, pl.Float64, pl.String, pl.Boolean, pl.Date) or (
        isinstance(kind, pl.Datetime) and kind.time_unit == "us" and kind.time_zone in (None, "UTC")
    )


def _value(node: Any) -> Any:
    """What a literal is, a list's members as a list; microseconds and days for moments."""
    try:
        (value,) = pl.select(pl.Expr.deserialize(StringIO(json.dumps(node)), format="json"))
    except pl.exceptions.PolarsError:  # JSON has no infinity
        raise Untranslatable from None
    inner = value.explode(empty_as_null=False) if value.dtype == pl.List else value
    if inner.dtype.is_temporal():
        inner = inner.to_physical()
    return inner.to_list() if value.dtype == pl.List else inner.item()


def _literal(value: Any, kind: Any, scalar: Mapping[str, Any]) -> str:
    """A value in SQL, which has to be of the column's type."""
    said = next(iter(scalar))
    same = said == str(kind).partition("(")[0] or said == "List"
    if value is None or not same or not _is_known(kind):
        raise Untranslatable
    if kind == pl.String:
        if "\0" in value:
            raise Untranslatable
        return text(value)
    if kind == pl.Float64:
        return f"({value:.17e})"  # with an exponent it is a double at once, to the last bit
    if kind == pl.Boolean:
        return str(value).lower()
    if kind == pl.Date:
        return f"(date '1970-01-01' + ({value}))"
    if isinstance(kind, pl.Datetime):
        return f"make_timestamp{'tz' if kind.time_zone else ''}(({value})::bigint)"
    return f"({value})"


def _function(inputs: list[Any], function: Any, schema: Mapping[str, pl.DataType]) -> str:
    match inputs, function:
        case [one], "Not":
            return f"(not {_condition(one, schema)})"
        case [{"Column": str(name)}], ("IsNull" | "IsNotNull"):
            return f"({quoted(name)} {PLAIN[function]})"
        case [one, low, high], {"IsBetween": {"closed": str(closed)}}:
            above, below = ENDS[closed]
            first = " ".join(_compared(one, above, low, schema))
            return f"({first} and {' '.join(_compared(one, below, high, schema))})"
        case [
            {"Column": str(name)} as one,
            {"Literal": {"Scalar": {"List": _}}} as members,
        ], {"IsIn": {"nulls_equal": False}}:
            return _member(one, _value(members), schema.get(name))
    raise Untranslatable


def _member(column: Any, values: list[Any], kind: Any) -> str:
    """Whether a column is one of some values; a null among those is equal to nothing."""
    there = [value for value in values if value is not None]
    odd = any(value in (float("inf"), float("-inf")) or value != value for value in there)
    if not there or len(there) > MOST or odd:
        raise Untranslatable
    members = ", ".join(_literal(value, kind, {"List": None}) for value in there)
    return f"({_operand(column, kind)} in ({members}))"
