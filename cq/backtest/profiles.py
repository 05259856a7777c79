"""Other engines' rules for fills, by name, so that results can be held side by side.

docs/conformance.md says what agrees with each and what does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cq.backtest.market import Habits, Rules

PROFILES: Final[dict[str, dict[str, Any]]] = {
    "vectorbt": {
        "fill": "same_close",
        "habits": Habits(stop_slips=False, from_fill=False, rests=True, stop_first=True),
    },
    "backtesting_py": {"fill": "next_open", "habits": Habits(stop_first=True)},
    "freqtrade": {"fill": "next_open", "habits": Habits(stop_slips=False, stop_first=True)},
}
"""What of the rules each engine has otherwise."""
COSTS: Final[dict[str, dict[str, Any]]] = {
    "vectorbt": {"quantity_decimals": None, "min_notional": 0.0},
    "backtesting_py": {"quantity_decimals": 0, "min_notional": 0.0},
    "freqtrade": {},
}
"""And of the costs; none of them knows a maker's fee."""


def as_in(profile: str | None, rules: Rules) -> Rules:
    """`rules` with the habits of another engine; as they are without one."""
    if profile is None:
        return rules
    dated = rules.costs.dated and tuple(one._replace(maker=one.taker) for one in rules.costs.dated)
    costs = rules.costs._replace(maker=None, dated=dated, **COSTS[profile])
    return rules._replace(costs=costs, **PROFILES[profile])


def as_traded(said: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `backtest:` with what their profile has otherwise."""
    profile = said.get("profile")
    if profile is None:
        return dict(said)
    fees = {**said["fees"], "maker": said["fees"]["taker"]}
    return {**said, **COSTS[profile], "fees": fees, "fill": PROFILES[profile]["fill"]}
