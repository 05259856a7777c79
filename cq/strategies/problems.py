"""What is wrong with a strategy file, in one line: where, which key, what was expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from cq.errors import StrategyError
from cq.strategies.sizing import FixedFraction
from cq.utils.yamls import nested

Keys = tuple[str, ...]


def one_line(
    error: ValidationError,
    where: Callable[[Keys], str],
    value: Mapping[str, Any],
    model: type[BaseModel],
    above: Keys = (),
) -> StrategyError:
    """Every problem as `file:line: key: problem`, all on one line."""
    first, *rest = [
        _place_and_problem(dict(one), where, value, model, above)
        for one in error.errors(include_url=False)
    ]
    more = "".join(f"; {place}: {problem}" for place, problem in rest)
    return StrategyError(first[0], first[1] + more)


def _place_and_problem(
    one: dict[str, Any],
    where: Callable[[Keys], str],
    value: Mapping[str, Any],
    model: type[BaseModel],
    above: Keys,
) -> tuple[str, str]:
    inside = _said(tuple(str(part) for part in one["loc"]), value)
    keys = (*above, *inside)
    problem = _problem(one, inside, value, model)
    if one["type"] == "value_error":
        named = tuple(problem.split()[0].rstrip(":").split("."))
        if keys[-1:] == named:
            return where(keys), problem
        if named[0] in known_keys(model, inside, value):
            place, dotted = where((*keys, *named)), ".".join((*keys, *named))
            if place.endswith(dotted):
                problem = problem.removeprefix(f"{dotted}: ").removeprefix(f"{named[-1]}: ")
            return place, problem
    place, dotted = where(keys), ".".join(keys)
    said_already = not dotted or place.endswith(f" {dotted}")
    return place, problem if said_already else f"{dotted}: {problem}"


def _said(location: Keys, value: Any) -> Keys:
    """The keys as the file says them: a union's location also holds the chosen kind, once."""
    keys: list[str] = []
    kind = None
    for part in location:
        if part == kind:
            kind = None
            continue
        keys.append(part)
        value = value.get(part) if isinstance(value, Mapping) else None
        kind = value.get("kind", FixedFraction().kind) if isinstance(value, Mapping) else None
    return tuple(keys)


def _problem(
    first: dict[str, Any], keys: Keys, value: Mapping[str, Any], model: type[BaseModel]
) -> str:
    match first["type"]:
        case "extra_forbidden":
            return f"unknown key{_advice(keys, value, model)}"
        case "missing":
            return "is missing"
        case "value_error":
            return str(first["ctx"]["error"])
        case "union_tag_invalid":
            return f"found {first['ctx']['tag']!r}, expected {first['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return f"`kind` is missing; there is {', '.join(_kinds(model, keys, value))}"
        case _:
            expected = first["msg"].removeprefix("Input ")
            return f"found {first['input']!r}, which {expected}"


def _advice(keys: Keys, value: Mapping[str, Any], model: type[BaseModel]) -> str:
    if "." in keys[-1]:
        return f"; levels are nested, write {nested(keys[-1])}"
    known = known_keys(model, keys[:-1], value)
    near = get_close_matches(keys[-1], known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there is {', '.join(known)}"


def known_keys(model: type[BaseModel], above: Keys, value: Mapping[str, Any]) -> list[str]:
    """The keys that `model` has below `above`, given the kinds that `value` chose."""
    for key in above:
        if key not in model.model_fields:
            return []
        inner = value.get(key)
        model = _model_of(model, key, inner if isinstance(inner, Mapping) else {})
        value = inner if isinstance(inner, Mapping) else {}
    return list(model.model_fields)


def _kinds(model: type[BaseModel], keys: Keys, value: Mapping[str, Any]) -> list[str]:
    """What `kind` may be at `keys`."""
    for key in keys[:-1]:
        inner = value.get(key)
        model = _model_of(model, key, inner if isinstance(inner, Mapping) else {})
        value = inner if isinstance(inner, Mapping) else {}
    options = getattr(model.model_fields[keys[-1]].annotation, "__args__", ())
    return [str(one.model_fields["kind"].default) for one in options]


def _model_of(model: type[BaseModel], key: str, value: Mapping[str, Any]) -> type[BaseModel]:
    annotation = model.model_fields[key].annotation
    options = getattr(annotation, "__args__", (annotation,))
    models = [one for one in options if isinstance(one, type) and issubclass(one, BaseModel)]
    for one in models:
        kind = one.model_fields.get("kind")
        if kind is None or kind.default == value.get("kind"):
            return one
    return models[0] if models else model
