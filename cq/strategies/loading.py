"""Strategies from YAML files, with the command line's word above the file's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from cq.errors import ConfigError, NoSuchFile, StrategyError
from cq.strategies.contract import OWN, Kind, Strategy
from cq.strategies.kinds import KINDS
from cq.strategies.problems import one_line
from cq.strategies.sizing import FixedFraction
from cq.utils.yamls import Document, Keys, parse_value, read_yaml

if TYPE_CHECKING:
    from cq.strategies.own import OwnCode

SIZING: Final = ("sizing", "kind")
"""Where the kind of sizing is said."""
SLIPPAGE: Final = ("backtest", "slippage", "kind")
"""And that of slippage."""


def load(path: str | Path, overrides: Sequence[str] = ()) -> Strategy:
    """The strategy in a YAML file; `overrides` are `key=value` texts such as `fast=5`.

    StrategyError says in one line which file, line and key is wrong.
    """
    return variants(path, overrides)({})


def variants(
    path: str | Path, overrides: Sequence[str] = (), option: str = "--grid"
) -> Callable[[Mapping[str, Any]], Strategy]:
    """What makes strategies of one file, each with other parameters: `{"sizing.fraction": 0.5}`.

    The file, and a user's own code, are read once. `option` is where such parameters were said.
    """
    path = Path(path)
    document = _read(path)
    below = dict(document.value)
    above = [_parsed(one) for one in overrides]
    _refuse_contradictions(above)
    said = _put(below, above)
    below.setdefault("name", path.stem)

    def where(keys: Keys) -> str:
        over = [one for one in said if keys and one[: len(keys)] == keys]
        return f"--set {'.'.join(over[-1])}" if over else document.where(keys)

    kind, code = _kind(below, path, where)
    return _maker(kind, code, below, where, option)


def variants_of(
    strategy: Strategy, option: str = "grid"
) -> Callable[[Mapping[str, Any]], Strategy]:
    """The same of a strategy that is there already."""
    below = strategy.config.model_dump(mode="json", exclude_unset=True)
    kind = Kind(type(strategy.config), strategy.generate_signals, strategy.size_positions)
    return _maker(kind, strategy.code, below, strategy.where, option)


def _maker(
    kind: Kind,
    code: OwnCode | None,
    below: Mapping[str, Any],
    where: Callable[[Keys], str],
    option: str,
) -> Callable[[Mapping[str, Any]], Strategy]:
    def made(values: Mapping[str, Any]) -> Strategy:
        value = dict(below)
        names = _put(value, [(tuple(name.split(".")), one) for name, one in values.items()])

        def place(keys: Keys) -> str:
            over = [one for one in names if keys and one[: len(keys)] == keys]
            return f"{option} {'.'.join(over[-1])}" if over else where(keys)

        try:
            config = kind.config.model_validate(value)
        except ValidationError as error:
            raise one_line(error, place, value, kind.config) from None
        return Strategy(config, kind.generate_signals, kind.size_positions, place, code)

    return made


def rebuilt(said: Mapping[str, Any], file: Path) -> Strategy:
    """The strategy whose configuration a run has kept; `file` is where its YAML was.

    A user's own Python file is looked for beside that.
    """

    def where(keys: Keys) -> str:
        return "the run's configuration: " + ".".join(str(key) for key in keys)

    kind, code = _kind(dict(said), file, where)
    try:
        config = kind.config.model_validate(said)
    except ValidationError as error:
        raise one_line(error, where, said, kind.config) from None
    return Strategy(config, kind.generate_signals, kind.size_positions, where, code)


def _read(path: Path) -> Document:
    if not path.exists():
        raise NoSuchFile(path)
    try:
        return read_yaml(path)
    except ConfigError as error:
        raise StrategyError(error.where, error.problem) from None


def _parsed(text: str) -> tuple[Keys, Any]:
    """The path and the value of one `key=value`."""
    key, equals, said = text.partition("=")
    keys = tuple(key.strip().split("."))
    if not equals or not all(keys):
        raise StrategyError(f"--set {text}", "expected KEY=VALUE, such as fast=10")
    return keys, parse_value(said)


def _refuse_contradictions(said: Sequence[tuple[Keys, Any]]) -> None:
    """StrategyError where a value is said of a key, and of keys below it."""
    for keys, one in said:
        for below, _ in said:
            if len(below) > len(keys) and below[: len(keys)] == keys and not isinstance(one, dict):
                inner, outer = ".".join(below), ".".join(keys)
                raise StrategyError(f"--set {inner}", f"{outer} is set, too; take one of them")


def _put(value: dict[str, Any], said: Sequence[tuple[Keys, Any]]) -> list[Keys]:
    """Put what was said into the nested values; the paths, in the order in which they were said.

    None of the values is changed where others may hold it. Another kind of sizing lets go of the
    parameters of the one before, another kind of slippage of those that it does not look at; never
    of those that are said beside it.
    """
    for keys, one in sorted(said, key=lambda pair: pair[0] not in (SIZING, SLIPPAGE)):
        inner = value
        for part in keys[:-1]:
            inner[part] = dict(inner[part]) if isinstance(inner.get(part), dict) else {}
            inner = inner[part]
        if keys == SIZING and inner.get("kind", FixedFraction().kind) != one:
            inner.clear()
        if keys == SLIPPAGE:
            _let_go(inner, one)
        inner[keys[-1]] = one
    return [keys for keys, _ in said]


def _let_go(slippage: dict[str, Any], kind: Any) -> None:
    """Take away what another kind looks at and this one does not."""
    from cq.utils.trading_settings import LOOKED_AT  # few say a kind

    for name in {name for names in LOOKED_AT.values() for name in names} & set(slippage):
        if kind in LOOKED_AT and name not in LOOKED_AT[kind]:
            del slippage[name]


def _kind(value: dict[str, Any], path: Path, where: Any) -> tuple[Kind, OwnCode | None]:
    """The registered kind that the file names, or the user's own from its Python file."""
    name, python = value.get("kind"), value.get("python")
    if python is not None:
        if name not in (None, OWN):
            raise StrategyError(where(("kind",)), f"kind: with `python`, leave it out or say {OWN}")
        from cq.strategies.own import kind_in  # few have such a file

        return kind_in(path.parent / str(python), where(("python",)))
    if not isinstance(name, str) or name not in KINDS:
        there = f"there is {', '.join(KINDS)}, or `python: FILE` for your own"
        found = "is missing" if name is None else f"found {name!r}"
        raise StrategyError(where(("kind",)), f"kind: {found}; {there}")
    return KINDS[name], None
