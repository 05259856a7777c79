"""YAML with the line of every key, so that an error can point at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cq.errors import ConfigError

Keys = tuple[str, ...]
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEXT = "tag:yaml.org,2002:str"


class Document(NamedTuple):
    """Nested values, and where each key of them was said."""

    value: dict[str, Any]
    path: Path
    place: Callable[[Keys], str]

    @classmethod
    def of(cls, value: dict[str, Any], place: Callable[[Keys], str]) -> Document:
        """Values that come from no file; `place` is asked for keys that were said only."""
        return cls(value, Path(), lambda keys: place(_said(value, keys)))

    def where(self, keys: Keys) -> str:
        """`file:line` of a key, or the variable or option that said it."""
        return self.place(keys)

    def leaves(self) -> Iterator[tuple[Keys, Any]]:
        """Every key that holds a value (lists are values), with its path."""
        return _leaves(self.value, ())


def _said(value: Any, keys: Keys) -> Keys:
    """The first of `keys` that lead somewhere in nested values; lists end them."""
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            return keys[:depth]
        value = value[key]
    return keys


def _leaves(value: dict[str, Any], above: Keys) -> Iterator[tuple[Keys, Any]]:
    for key, one in value.items():
        if isinstance(one, dict) and one:
            yield from _leaves(one, (*above, key))
        else:
            yield (*above, key), one


def read_yaml(path: Path, beside: Path | None = None) -> Document:
    """The mapping in a YAML file; ConfigError for anything that is not one.

    Errors and origins name the file as seen from the folder `beside`.
    """
    shown = path.relative_to(beside) if beside and path.is_relative_to(beside) else path
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(str(shown), f"cannot be read ({reason})") from None
    lines: dict[Keys, int] = {}
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        value = {} if node is None else loader.construct_document(node)
        if node is not None:
            _lines(node, (), lines, shown)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{shown}{line}", f"is not YAML: {problem}") from None
    except ValueError as error:  # such as the month 13
        raise ConfigError(f"{shown}:{_unreadable(node)}", f"holds no value: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(str(shown), "expected keys with values (key: value)")

    def place(keys: Keys) -> str:
        known = keys
        while known and known not in lines:
            known = known[:-1]
        return f"{shown}:{lines[known]}" if known else str(shown)

    return Document(value, path, place)


def nested(key: str) -> str:
    """A dotted key as YAML has it: `a.b` is `a: {b: …}`."""
    return key.replace(".", ": {") + ": …" + "}" * key.count(".")


def parse_scalar(text: str) -> Any:
    """A value as it would be read from YAML: `3` is a number, `null` is None, `a,b` is text.

    What stands in quotes is the text within.
    """
    try:
        value = yaml.load(text, Loader)  # noqa: S506  # Loader is the safe one
    except (yaml.YAMLError, ValueError):
        return text
    quoted = isinstance(value, str) and text.lstrip()[:1] in ('"', "'")
    return value if quoted or isinstance(value, (int, float, bool, list, type(None))) else text


def parse_value(text: str) -> Any:
    """The same, and `{atr: 2, window: 14}` is a mapping."""
    try:
        value = yaml.load(text, Loader)  # noqa: S506  # Loader is the safe one
    except (yaml.YAMLError, ValueError):
        return text
    return value if isinstance(value, dict) else parse_scalar(text)


def _unreadable(node: Any) -> int:
    """The line of the first scalar that cannot be made a value; that of `node` where all can."""
    inside = [node]
    while inside:
        one = inside.pop(0)
        if isinstance(one, yaml.ScalarNode):
            try:
                Loader("").construct_object(one)
            except ValueError:
                return int(one.start_mark.line) + 1
        elif isinstance(one, yaml.MappingNode):
            inside = [part for pair in one.value for part in pair] + inside
        else:
            inside = [*one.value, *inside]
    return int(node.start_mark.line) + 1


def _lines(node: Any, above: Keys, lines: dict[Keys, int], shown: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            lines[*above, str(number)] = item.start_mark.line + 1
            _lines(item, (*above, str(number)), lines, shown)
    if not isinstance(node, yaml.MappingNode):
        return
    for key_node, value_node in node.value:
        keys = (*above, str(key_node.value))
        line = key_node.start_mark.line + 1
        if keys in lines:
            raise ConfigError(
                f"{shown}:{line}",
                f"{'.'.join(keys)} stands here again; line {lines[keys]} has it already",
            )
        lines[keys] = line
        if key_node.tag != TEXT:  # found as 1 and as "1"
            lines[*above, Loader("").construct_object(key_node)] = line
        _lines(value_node, keys, lines, shown)
