"""`cq config`: the settings in force, and where each was said."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import BaseModel, SecretStr

from cq.cli.app import App
from cq.cli.output import note, print_json, print_table


@click.group()
def config() -> None:
    """Show settings and where each value came from."""


@config.command(short_help="Every setting: its value and its origin.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show(app: App, as_json: bool) -> None:
    """Print every setting with its value and its origin, e.g. `cq config show --json`."""
    from cq.utils.config import load

    loaded = load(app.project, config_file=app.config_file, overrides=app.overrides)
    rows = []
    for keys, value in _leaves(loaded.settings, ()):
        origin = next(
            (
                loaded.origins[keys[:depth]]
                for depth in range(len(keys), 0, -1)
                if keys[:depth] in loaded.origins
            ),
            "not set",
        )
        rows.append((".".join(keys), value, origin))
    if as_json:
        print_json({key: {"value": value, "from": origin} for key, value, origin in rows})
    else:
        print_table(("setting", "value", "from"), [(k, _shown(v), o) for k, v, o in rows])


@config.command(short_help="Write the JSON schemas for editors.")
@click.pass_obj
def schema(app: App) -> None:
    """Write configs/*.schema.json, by which editors complete and check YAML."""
    from cq.schemas import write_schemas

    for path in write_schemas(app.project / "configs"):
        note(f"wrote {path}")


def _leaves(model: BaseModel, above: tuple[str, ...]) -> list[tuple[tuple[str, ...], object]]:
    found: list[tuple[tuple[str, ...], object]] = []
    for name, value in model:
        found += _leaf(value, (*above, name))
    return found


def _leaf(value: object, keys: tuple[str, ...]) -> list[tuple[tuple[str, ...], object]]:
    if isinstance(value, BaseModel):
        return _leaves(value, keys)
    if isinstance(value, dict):
        return [leaf for name, one in value.items() for leaf in _leaf(one, (*keys, name))]
    if isinstance(value, SecretStr):
        return [(keys, str(value))]
    if isinstance(value, Path):
        return [(keys, str(value))]
    if isinstance(value, tuple):
        return [(keys, [one.model_dump() if isinstance(one, BaseModel) else one for one in value])]
    return [(keys, value)]


def _shown(value: object) -> str:
    from cq.cli.table import words

    if isinstance(value, list):
        return words(value)
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
