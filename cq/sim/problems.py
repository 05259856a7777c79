"""What is wrong with a fault plan or a switch, in words of its own; nearest names included."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from cq.errors import ConfigError
from cq.utils.names import among, nearest
from cq.utils.yamls import Document

Keys = tuple[str, ...]

_EXPECTED = {
    "bool": "true or false",
    "date": "text",
    "dict": "keys with values",
    "finite": "a number",
    "float": "a number",
    "int": "a whole number",
    "mapping": "keys with values",
    "model": "keys with values",
    "number": "a number",
    "string": "text",
    "tuple": "a list",
}
"""What pydantic's kinds of error begin with → what was expected."""
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def one_line(error: ValidationError, document: Document, models: Mapping[str, Any]) -> ConfigError:
    """Every problem as `file:line: key: problem`, all on one line.

    `models` has the model of what is below each key of the document, and that of the whole at "".
    """
    found: dict[Keys, list[Any]] = {}
    for one in error.errors(include_url=False):
        found.setdefault(_keys(one["loc"]), []).append(one)
    said = []
    for keys, ones in found.items():
        model = models[keys[0] if len(keys) > 1 else ""]
        named = _named(keys, document.value)
        said.append((document.where(keys), f"{named}{problem(ones, keys, model)}"))
    (where, first), *rest = said
    return ConfigError(where, first + "".join(f"; {place}: {one}" for place, one in rest))


def problem(ones: Sequence[Any], keys: Keys, model: type[BaseModel]) -> str:
    """One value's problem; a union that nothing fits tells of each of its members."""
    first = ones[0]
    given = _shown(first["input"])
    match first["type"]:
        case "extra_forbidden":
            return f"unknown key; {nearest(keys[-1], model.model_fields)}"
        case "missing":
            return "is missing"
        case "value_error":
            return str(first["ctx"]["error"])
        case "literal_error":
            options = re.findall(r"'([^']*)'", " ".join(one["ctx"]["expected"] for one in ones))
            return f"found {given}; {among(first['input'], options)}"
    bounds = [
        f"{word} {first['ctx'][key]:g}" for key, word in _BOUNDS.items() if key in _ctx(first)
    ]
    expected = _EXPECTED.get(first["type"].split("_")[0])
    if bounds or expected:
        return f"found {given}, expected {', '.join(bounds) or expected}"
    return f"found {given}, but {first['msg'][0].lower()}{first['msg'][1:]}"


def _ctx(one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = one.get("ctx", {})
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, (bool, float)) else repr(value)


def _keys(location: Sequence[int | str]) -> Keys:
    """The keys as the file says them: the location in a union also names the member."""
    return tuple(str(part) for part in location if not str(part).startswith("literal["))


def _named(keys: Keys, value: Any) -> str:
    """`fault 2 (silent): at: ` for what lies at (faults, 1, at, 0); rules count from 1."""
    words = []
    if keys[:1] == ("faults",) and len(keys) > 1:
        rule = value["faults"][int(keys[1])]
        kind = rule.get("kind") if isinstance(rule, Mapping) else None
        words.append(f"fault {int(keys[1]) + 1}" + (f" ({kind})" if isinstance(kind, str) else ""))
        keys = keys[2:]
    inner = ".".join(key for key in keys if not key.isdigit())
    return "".join(f"{word}: " for word in (*words, inner) if word)
