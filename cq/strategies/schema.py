"""The JSON schema of a strategy file, for editors."""

from __future__ import annotations

from typing import Any

from cq.strategies.contract import StrategyConfig
from cq.strategies.loading import KINDS


def strategy_schema() -> dict[str, Any]:
    """One schema for every registered kind and for a user's own."""
    from cq.utils.settings import Backtest

    definitions: dict[str, Any] = {}
    backtest = _taken_in(Backtest.model_json_schema(), definitions)
    backtest["description"] = "settings of `backtest:` in configs/default.yaml that differ here"
    for part in (backtest, *definitions.values()):
        part.pop("required", None)  # a file says only what differs
    kinds = []
    for name, kind in KINDS.items():
        schema = _taken_in(kind.config.model_json_schema(), definitions)
        schema["required"] = [*schema.get("required", []), "kind"]
        schema["title"] = name
        kinds.append(schema)
    own = _taken_in(StrategyConfig.model_json_schema(), definitions)
    own |= {"title": "your own", "additionalProperties": True}
    own["required"] = [*own.get("required", []), "python"]
    for schema in (*kinds, own):
        schema["properties"]["backtest"] = backtest
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cq strategy",
        "anyOf": [*kinds, own],
        "$defs": definitions,
    }


def _taken_in(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    definitions |= schema.pop("$defs", {})
    return schema
