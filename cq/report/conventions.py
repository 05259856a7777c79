"""By which rules a run was traded, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cq.backtest.profiles import as_traded
from cq.backtest.show import percent

NOTHING: Mapping[str, Any] = {}
FILLED: Final = {
    "next_open": "the next bar's open",
    "next_close": "the next bar's close",
    "same_close": "that very close",
}


def conventions(config: Mapping[str, Any]) -> list[str]:
    """What a reader has to know of fills, costs, sizes and baselines to believe the numbers."""
    said, strategy = as_traded(config["backtest"]), config["strategy"]
    return [
        *_fills(said, strategy.get("orders") or NOTHING),
        *_costs(said),
        *_sizes(said),
        "Warm-up: bars before the period are read as history only, where the lake has them.",
        "A symbol without a bar is valued at its last close. A year has 365 days, all traded.",
        "Buy and hold splits the same cash evenly at each symbol's first open; equal weight makes "
        "the parts equal again each day (UTC); both without costs.",
        "Most metrics look at days (UTC): a day's return is from the last close before to its own.",
    ]


def _fills(said: Mapping[str, Any], orders: Mapping[str, Any]) -> list[str]:
    later = said.get("latency_bars") or 0
    late = f", {later} bars later" if later else ""
    lines = [
        f"A decision is taken at a bar's close and filled at {FILLED[said['fill']]}{late}; one "
        "that no bar is left for is not filled.",
        "Sells come before buys; a buy that cash cannot pay is cut, never made on credit.",
    ]
    if (profile := said.get("profile")) is not None:
        lines.append(f"Fills follow the rules of {profile}, to compare results with it.")
    if (entry := orders.get("entry", "market")) != "market":
        lines.append(f"Positions are opened by {entry.replace('_', '-')} orders.")
    levels = [one for one in ("stop_loss", "take_profit", "trailing_stop") if orders.get(one)]
    guards = [*levels, "max_bars"] if orders.get("max_bars") else levels
    if guards:
        names = ", ".join(guards).replace("_", " ")
        lines.append(f"Positions are closed by {names}.")
    if levels:
        finer = said.get("detail_interval")
        order = f"bars of {finer} say what came first" if finer else "the stop comes first"
        lines.append(
            f"A bar that opens beyond a stop fills it at its open; within a bar that touches stop "
            f"and target {order}."
        )
    return lines


def _costs(said: Mapping[str, Any]) -> list[str]:
    fees = said["fees"]
    maker = f" ({percent(fees['maker'])} where an order rested)" if "maker" in fees else ""
    dated = "; other fees from dates on, as in the configuration" if fees.get("dated") else ""
    return [
        f"Every fill pays a fee of {percent(fees['taker'])}{maker}, at least {fees['minimum']:g}, "
        f"and slippage of {_slippage(said['slippage'])} against it{dated}."
    ]


def _slippage(said: Mapping[str, Any]) -> str:
    match said["kind"]:
        case "half_spread":
            return f"half a spread of {said['spread_bps']:g} basis points"
        case "participation" | "square_root" as kind:
            more = ", and more for large orders" if kind == "square_root" else ""
            part = percent(said["participation"])
            return f"{said['bps']:g} basis points, at most {part} of a bar's volume{more},"
        case _:
            return f"{said['bps']:g} basis points"


def _sizes(said: Mapping[str, Any]) -> list[str]:
    lots, tick = said["quantity_decimals"], said.get("tick")
    lines = [
        f"One symbol takes at most {percent(said['max_position'])} of equity, all together "
        f"{percent(said['max_gross_exposure'])}.",
        f"Sizes are {'not cut' if lots is None else f'cut to {lots} decimals'}; an order worth "
        f"less than {said['min_notional']:g} is not sent.",
    ]
    if tick:
        lines.append(f"Prices lie on a grid of {tick:g}, rounded against the trader.")
    if said.get("allow_short"):
        lines.append(
            f"Shorts are allowed, for research; they cost {percent(said['borrow_rate'])} a year."
        )
    return lines
