"""Strategies: a frozen configuration and two pure functions from frame to frame."""

from cq.strategies.contract import Kind, Strategy, StrategyConfig, by_sizing
from cq.strategies.kinds import KINDS
from cq.strategies.liquidity import Liquidity
from cq.strategies.loading import load, variants, variants_of
from cq.strategies.schema import strategy_schema
from cq.strategies.sizing import (
    FixedFraction,
    FixedNotional,
    HedgeRatio,
    InverseVolatility,
    KellyFraction,
    Sizing,
    Units,
    VolatilityTarget,
)
from cq.strategies.symbols import once_each, resolve, with_quote

__all__ = [
    "KINDS",
    "FixedFraction",
    "FixedNotional",
    "HedgeRatio",
    "InverseVolatility",
    "KellyFraction",
    "Kind",
    "Liquidity",
    "Sizing",
    "Strategy",
    "StrategyConfig",
    "Units",
    "VolatilityTarget",
    "by_sizing",
    "load",
    "once_each",
    "resolve",
    "strategy_schema",
    "variants",
    "variants_of",
    "with_quote",
]
