"""Settings: what they are, where each value comes from, and one clear line when one is wrong.

Values come from four places; later ones win: `configs/default.yaml` (the shipped one below the
project's own), the user's YAML, the environment (`CQ_…`), the command line (`--set`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from cq.errors import ConfigError
from cq.utils.names import is_text
from cq.utils.paths import as_named
from cq.utils.resources import resource_root
from cq.utils.settings import Settings
from cq.utils.yamls import Document, Keys, nested, parse_scalar, parse_value, read_yaml

PREFIX = "CQ_"
NOT_SETTINGS = ("CQ_CRYPTOFEED_PYTHON", "CQ_DEBUG", "CQ_PEERS_PYTHON")
"""Variables that share the prefix and are read elsewhere."""


class Loaded(NamedTuple):
    """Settings, and for each leaf key where its value came from."""

    settings: Settings
    origins: Mapping[Keys, str]


def find_project(start: Path | None = None) -> Path:
    """The folder that holds configs/default.yaml: `start`, or the nearest above the current one."""
    if start is not None:
        if not (start / "configs" / "default.yaml").is_file():
            raise ConfigError(
                str(start), f"no configs/default.yaml there; make a project with `cq init {start}`"
            )
        return _named_in_text(start.resolve())
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "configs" / "default.yaml").is_file():
            return _named_in_text(folder)
    raise ConfigError(
        str(here),
        "no project here or above (no configs/default.yaml); "
        "make one with `cq init DIR`, or name one with `cq --project DIR …`",
    )


def _named_in_text(project: Path) -> Path:
    """`project`; ConfigError where its name is none that SQL, JSON and the lake can hold."""
    if not is_text(str(project)):
        raise ConfigError(repr(str(project)), "expected a name in UTF-8; give the folder another")
    return project


def load(
    project: Path, *, config_file: Path | None = None, overrides: Sequence[str] = ()
) -> Loaded:
    """Merge and check the settings of `project`; ConfigError names file, line and key."""
    layers = [read_yaml(resource_root() / "configs" / "default.yaml", project)]
    own = project / "configs" / "default.yaml"
    if own.is_file() and not own.samefile(layers[0].path):
        layers.append(read_yaml(own, project))
    shown = len(layers)
    local = config_file or project / "configs" / "local.yaml"
    if config_file is not None or local.is_file():
        layers.append(read_yaml(local, project))
    for layer in layers:
        if layer.value.get("credentials"):
            raise ConfigError(
                layer.where(("credentials",)),
                "secrets come from the environment only: set CQ_CREDENTIALS__CLIENT_ID "
                "and CQ_CREDENTIALS__CLIENT_SECRET",
            )
    said = [_environment(os.environ), *map(_command_line, overrides)]
    loaded, said = _checked(project, layers + said), layers[shown:] + said
    _refuse_unread(loaded.settings, said)
    return loaded


def _refuse_unread(settings: Settings, layers: Sequence[Document]) -> None:
    """ConfigError where a user says of slippage what its kind does not look at.

    configs/default.yaml lists all there is; what is said below another kind is of that.
    """
    above: Keys = ("backtest", "slippage")
    said: dict[str, Document] = {}
    for layer in layers:
        named = [keys[-1] for keys, _ in layer.leaves() if keys[:-1] == above]
        said = ({} if "kind" in named else said) | dict.fromkeys(named, layer)
    if unread := settings.backtest.slippage.unread(said):
        keys, problem = (*above, unread[0]), unread[1]
        where, dotted = said[unread[0]].where(keys), ".".join(keys)
        raise ConfigError(
            where, problem if where.endswith(f" {dotted}") else f"{dotted}: {problem}"
        )


def defaults(project: Path) -> Settings:
    """The shipped settings for `project`, whatever the environment says."""
    return _checked(project, [read_yaml(resource_root() / "configs" / "default.yaml")]).settings


def _checked(project: Path, layers: Sequence[Document]) -> Loaded:
    merged: dict[str, Any] = {}
    sources: dict[Keys, Document] = {}
    for layer in layers:
        for keys, value in layer.leaves():
            if not _put(merged, keys, value, layer):
                continue
            sources = {old: said for old, said in sources.items() if old[: len(keys)] != keys}
            sources[keys] = layer
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise _one_line(error, sources) from None
    origins = {keys: layer.where(keys) for keys, layer in sources.items()}
    return Loaded(_located(settings, project, origins), origins)


def _located(settings: Settings, project: Path, origins: Mapping[Keys, str]) -> Settings:
    """The settings with absolute paths; an address such as s3://bucket/prefix stays what it is.

    Where the lake's folder is a link, it stays the link: `lake.db` and runs lie beside that.
    """

    def at_home(path: Path, *keys: str) -> Path:
        try:
            return project / path.expanduser()
        except RuntimeError as error:
            place = origins.get(keys, "settings")
            raise ConfigError(place, f"{'.'.join(keys)}: found {path}: {error}") from None

    root, log_file, live = settings.data_root, settings.log_file, settings.live
    found = {
        "data_root": as_named(at_home(root, "data_root")) if isinstance(root, Path) else root,
        "log_file": log_file and at_home(log_file, "log_file").resolve(),
        "live": live.model_copy(
            update={"journal": at_home(live.journal, "live", "journal").resolve()}
        ),
    }
    return settings.model_copy(update=found)


def _put(into: dict[str, Any], keys: Keys, value: Any, layer: Document) -> bool:
    """Whether anything was put: an empty section leaves what is said below it as it was."""
    _check_names(keys, layer)
    for key in keys[:-1]:
        inner = into.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(layer.where(keys), f"{'.'.join(keys)}: {key} holds a value, no keys")
        into = inner
    if into.get(keys[-1]) and value == {} and isinstance(into[keys[-1]], dict):
        return False
    if isinstance(into.get(keys[-1]), dict) and not isinstance(value, dict):
        inside = ", ".join(into[keys[-1]])
        expected = f"keys ({inside})" if inside else "keys below it, each with a value"
        raise ConfigError(
            layer.where(keys), f"{'.'.join(keys)}: found {value!r}, expected {expected}"
        )
    into[keys[-1]] = value
    return True


def _check_names(keys: Keys, layer: Document) -> None:
    """ConfigError where a key is no name: a number, or several levels in one."""
    dotted = ".".join(map(str, keys))
    for key in keys:
        if not isinstance(key, str):  # YAML makes false of `off`, and numbers of what looks so
            raise ConfigError(
                layer.where(keys), f"{dotted}: found the key {key!r}, expected a name; quote it"
            )
        if "." in key:
            raise ConfigError(
                layer.where(keys), f"{dotted}: levels are nested; write {nested(key)}"
            )


def _environment(variables: Mapping[str, str]) -> Document:
    """The settings among the environment's variables, read by pydantic-settings."""
    found = {
        name: text
        for name, text in variables.items()
        if name.upper().startswith(PREFIX) and name.upper() not in NOT_SETTINGS
    }
    if not found:
        return Document.of({}, lambda _: "environment")

    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

    class FromEnvironment(Settings, BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX, env_nested_delimiter="__", enable_decoding=False
        )

    known = [PREFIX + "__".join(keys).upper() for keys in all_keys()]
    for name, text in found.items():
        if not _is_known(name.upper(), known):
            raise ConfigError(
                f"environment: {name}", f"is no setting{_nearest(name.upper(), known)}"
            )
        if not text.strip() and not name.upper().startswith(f"{PREFIX}CREDENTIALS__"):
            # read as YAML it would be null, which takes away a limit that a file sets
            raise ConfigError(
                f"environment: {name}", "is empty; expected a value: unset it, or say null"
            )
        if not is_text(text):
            raise ConfigError(f"environment: {name}", "is not UTF-8; expected text")
    source = EnvSettingsSource(FromEnvironment)
    source.env_vars = {name.lower(): text for name, text in found.items()}
    value = {key: _parsed(one) if key != "credentials" else one for key, one in source().items()}
    return Document.of(value, lambda keys: f"environment: {PREFIX}{'__'.join(keys).upper()}")


def _is_known(name: str, known: Sequence[str]) -> bool:
    open_ended = (f"{PREFIX}PARTITIONS__", f"{PREFIX}QUALITY__SEVERITIES__")
    return name in known or name.startswith(open_ended)


def _parsed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _parsed(one) for key, one in value.items()}
    return parse_scalar(value) if isinstance(value, str) else value


def _command_line(text: str) -> Document:
    """A setting said as `key=value` on the command line."""
    key, equals, said = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}", "expected KEY=VALUE, such as backtest.cash=50000")
    if not said.strip():
        raise ConfigError(f"--set {text}", f"is empty; expected a value, or {key}=null")
    path = key.strip().split(".")
    if "credentials" in (path[0], path[-1]):
        raise ConfigError(f"--set {key}", "secrets come from the environment only")
    value = parse_value(said)
    for part in reversed(path):
        value = {part: value}
    return Document.of(value, lambda keys: f"--set {'.'.join(keys)}")


def all_keys(model: type[BaseModel] = Settings, prefix: Keys = ()) -> list[Keys]:
    """Every key of the settings, dotted path by dotted path."""
    found: list[Keys] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += all_keys(inner, (*prefix, name))
        else:
            found.append((*prefix, name))
    return found


def _one_line(error: ValidationError, sources: Mapping[Keys, Document]) -> ConfigError:
    """Every problem, the first one with its place; all on one line."""
    first, *rest = [_place_and_problem(dict(one), sources) for one in _each_key_once(error)]
    more = "".join(f"; {place}: {problem}" for place, problem in rest)
    return ConfigError(first[0], first[1] + more)


def _each_key_once(error: ValidationError) -> list[Any]:
    """A union that nothing fits tells of each of its members; one of them is enough."""
    found = {_keys(one["loc"]): one for one in reversed(error.errors(include_url=False))}
    return list(reversed(found.values()))


def _keys(location: Sequence[int | str]) -> Keys:
    keys = tuple(str(part) for part in location)
    while keys and keys[-1].startswith(("constrained-", "literal[", "int", "float")):
        keys = keys[:-1]
    return keys


def _place_and_problem(one: dict[str, Any], sources: Mapping[Keys, Document]) -> tuple[str, str]:
    keys = _keys(one["loc"])
    dotted = ".".join(keys)
    where = _place(keys, sources)
    if one["type"] == "extra_forbidden":
        problem = f"is no setting{_nearest(dotted, ['.'.join(one) for one in all_keys()])}"
    elif one["type"] == "missing":
        problem = "is missing; configs/default.yaml shows it"
    elif one["type"] == "value_error":
        problem = str(one["ctx"]["error"])
    else:
        problem = f"found {one['input']!r}, but {one['msg'][0].lower()}{one['msg'][1:]}"
    named = not dotted or where.endswith(f" {dotted}")
    return where, problem if named else f"{dotted}: {problem}"


def _place(keys: Keys, sources: Mapping[Keys, Document]) -> str:
    """Where a key was said; or the last one below it, the list that it is in, one beside it."""
    for depth in range(len(keys), 0, -1):
        near = [said for said in sources if said[:depth] == keys[:depth]]
        if near:
            return sources[near[-1]].where(keys if near[-1] == keys[:depth] else near[-1])
    return "settings"


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "; `cq config show` lists them all"
