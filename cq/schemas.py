"""JSON schemas of the YAML files, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cq.errors import LakeUnwritable
from cq.utils.resources import resource_root
from cq.utils.settings import Settings


def settings_schema() -> dict[str, Any]:
    """The schema of configs/default.yaml and of a user's own, which may hold any part of it.

    Descriptions are the comments of configs/default.yaml.
    """
    schema = Settings.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        part.pop("required", None)
    schema["properties"].pop("credentials")
    schema["$defs"].pop("Credentials")
    schema["title"] = "cq settings"
    for keys, comment in _comments().items():
        part = schema
        for key in keys[:-1]:
            inner = part["properties"].get(key, {})
            part = schema["$defs"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else {}
            if not part:
                break
        if part and keys[-1] in part.get("properties", {}):
            part["properties"][keys[-1]].setdefault("description", comment)
    return schema


def _comments() -> dict[tuple[str, ...], str]:
    """Key path → the comment behind it in the shipped settings."""
    found: dict[tuple[str, ...], str] = {}
    above: list[tuple[int, str]] = []
    text = (resource_root() / "configs" / "default.yaml").read_text(encoding="utf-8")
    for line in text.splitlines():
        code, _, comment = line.partition(" # ")
        key, colon, _ = code.strip().partition(":")
        if not colon or key.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip())
        above = [one for one in above if one[0] < depth] + [(depth, key)]
        if comment:
            found[tuple(name for _, name in above)] = comment.strip()
    return found


def schemas() -> dict[str, str]:
    """File name → JSON text of each schema."""
    from cq.strategies import strategy_schema

    named = {"config": settings_schema(), "strategy": strategy_schema()}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=2) + "\n" for name, schema in named.items()
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write the schemas of settings and strategies into `folder`."""
    written = []
    for name, text in schemas().items():
        try:
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise LakeUnwritable(folder / name, error.strerror or str(error)) from None
        written.append(folder / name)
    return written
