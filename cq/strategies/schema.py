"""The JSON schema of a strategy file, for editors."""

from __future__ import annotations

from typing import Any

from cq.strategies.contract import OWN, StrategyConfig
from cq.strategies.kinds import KINDS
from cq.strategies.sizing import FixedFraction


def strategy_schema() -> dict[str, Any]:
    """One schema for every registered kind and for a user's own."""
    from cq.utils.trading_settings import Backtest

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
        schema["properties"].pop("python")  # refused beside a kind that comes with cq
        kinds.append(schema)
    own = _taken_in(StrategyConfig.model_json_schema(), definitions)
    own |= {"title": "your own", "additionalProperties": True}
    own["required"] = [*own.get("required", []), "python"]
    own["properties"]["kind"]["const"] = OWN
    for schema in (*kinds, own):
        schema["properties"]["backtest"] = backtest
        _as_typed(schema["properties"]["symbols"])
    usual = FixedFraction.model_fields["kind"].default
    for name, place in own["properties"]["sizing"]["discriminator"]["mapping"].items():
        if name != usual:  # `fraction: 0.5` alone is of that
            part = definitions[place.rpartition("/")[2]]
            part["required"] = [*part.get("required", []), "kind"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cq strategy",
        "anyOf": [*kinds, own],
        "$defs": definitions,
    }


def _as_typed(symbols: dict[str, Any]) -> None:
    """Symbols as a file may say them: a list, or text with commas."""
    said = [one for one in ("type", "items", "minItems", "maxItems") if one in symbols]
    listed = {"minItems": 1, "uniqueItems": True} | {one: symbols.pop(one) for one in said}
    symbols["anyOf"] = [listed, {"type": "string"}]


def _taken_in(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    definitions |= schema.pop("$defs", {})
    return schema
