"""The strategies that come with cq, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from cq.strategies.contract import Kind


class Kinds(Mapping[str, Kind]):
    """Strategies by their `kind`; each is found at a `module:attribute`."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Kind:
        module, attribute = self._places[name].split(":")
        kind: Kind = getattr(import_module(module), attribute)
        return kind

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


KINDS: Final = Kinds({
    "crossover": "cq.strategies.crossover:CROSSOVER",
    "macd": "cq.strategies.macd:MACD",
    "bollinger": "cq.strategies.bollinger:BOLLINGER",
    "pairs": "cq.strategies.pairs:PAIRS",
    "buy_and_hold": "cq.strategies.baselines:BUY_AND_HOLD",
    "equal_weight": "cq.strategies.baselines:EQUAL_WEIGHT",
})  # fmt: skip
"""Every strategy that comes with cq, by its `kind`."""
