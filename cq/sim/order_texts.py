"""Orders as the wire writes them, and the lists of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from cq.sim.money import number, text
from cq.sim.orders import Execution, Order, Status
from cq.sim.trading_switches import TradingSwitches
from cq.utils.time import SECOND

OPEN = (Status.CREATED, Status.WORKING)


def order_body(order: Order, switches: TradingSwitches) -> dict[str, Any]:
    """One order with its fills; what it has not is left out."""
    body: dict[str, Any] = {
        **_common(order, switches),
        "executions": [_execution(order, one) for one in order.executions],
        "fee": text(order.fee),
    }
    if order.executions:
        body["avgPrice"] = number(order.average)
    if order.ask.cost is not None:
        body["cost"] = number(order.ask.cost)
    if order.ask.external_id is not None:
        body["externalId"] = order.ask.external_id
    return body


def list_body(order: Order, switches: TradingSwitches) -> dict[str, Any]:
    """One order in the list of all markets, which knows less and says `external_id`."""
    body = _common(order, switches)
    if order.ask.external_id is not None:
        body["external_id"] = order.ask.external_id
    return body


def position(order: Order) -> dict[str, Any]:
    """An open order among the positions."""
    return {
        "avgPrice": number(order.average),
        "category": order.ask.type,
        "id": order.id,
        "instrument": order.symbol,
        "qty": text(order.qty),
        "side": order.ask.side,
    }


def queued(order: Order) -> dict[str, str]:
    """One of the orders that are about to be cancelled together."""
    base, _, quote = order.symbol.partition("-")
    return {
        "crypto": base,
        "fiat": quote,
        "order_id": order.id,
        "order_type": order.ask.type,
        "side": "BID" if order.buys else "ASK",
        "status": "queued_to_cancel",
    }


def market_list(
    orders: Iterable[Order], asked: Mapping[str, str], switches: TradingSwitches
) -> list[dict[str, Any]]:
    """The orders of one market that pass the filters, as many as fit in a reply."""
    found = (one for one in orders if _passes(one, asked))
    return [order_body(one, switches) for one in islice(found, switches.list_rows)]


def all_list(
    orders: Iterable[Order], asked: Mapping[str, str], switches: TradingSwitches
) -> list[dict[str, Any]]:
    """The orders of all markets that pass the filters."""
    size = asked.get("size", "")
    rows = int(size) if _is_count(size) else switches.list_rows
    found = (one for one in orders if _passes(one, asked))
    return [list_body(one, switches) for one in islice(found, min(rows, switches.list_rows))]


def has_executions(order: Order, asked: str | None) -> bool:
    """The filter `has_executions`; anything but true and false is ignored."""
    wanted = {"true": True, "false": False}.get((asked or "").lower())
    return wanted is None or wanted == bool(order.executions)


def _passes(order: Order, asked: Mapping[str, str]) -> bool:
    """Whether an order passes every filter; both ends of a range are part of it."""
    created = order.created_ns // SECOND
    executed = [one.ts_ns // SECOND for one in order.executions]
    return (
        has_executions(order, asked.get("has_executions"))
        and _has_status(order, asked.get("status", ""))
        and asked.get("side", order.ask.side) in (order.ask.side, "")
        and asked.get("symbol", order.symbol) in (order.symbol, "")
        and _after(order, asked.get("id_from"))
        and _before(order, asked.get("id_to"))
        and _within([created], asked, "created_at")
        and _within(executed, asked, "executed_at")
    )


def _has_status(order: Order, asked: str) -> bool:
    """An unknown status is ignored, not refused."""
    wanted = {one.strip().lower() for one in asked.split(",")} & set(Status)
    return not wanted or order.status in wanted


def _after(order: Order, key: str | None) -> bool:
    if not key:
        return True
    return order.number >= int(key) if _is_count(key) else order.id >= key


def _before(order: Order, key: str | None) -> bool:
    if not key:
        return True
    return order.number <= int(key) if _is_count(key) else order.id <= key


def _within(seconds: list[int], asked: Mapping[str, str], name: str) -> bool:
    first, last = asked.get(f"{name}_from", ""), asked.get(f"{name}_to", "")
    if not (_is_count(first) or _is_count(last)):
        return True
    low = int(first) if _is_count(first) else 0
    return any(low <= one and (not _is_count(last) or one <= int(last)) for one in seconds)


def _is_count(text: str) -> bool:
    """A whole number of a sane length."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _common(order: Order, switches: TradingSwitches) -> dict[str, Any]:
    body: dict[str, Any] = {
        "created_at": order.created_ns // SECOND,
        "filledQty": text(order.filled),
        "id": order.id,
        "instrument": order.symbol,
        "qty": text(order.qty),
        "side": order.ask.side,
        "status": _status(order, switches),
        "type": order.ask.type,
        "updated_at": order.updated_ns // SECOND,
    }
    if order.ask.limit_price is not None:
        body["limitPrice"] = number(order.ask.limit_price)
    if order.ask.stop_price is not None:
        body["stopPrice"] = number(order.ask.stop_price)
    if switches.trigger_order_id == "all" or order.ask.type == "stoplimit":
        body["triggerOrderId"] = str(order.number)
    return body


def _status(order: Order, switches: TradingSwitches) -> str:
    case = switches.status_case
    if case == "mixed":
        case = ("lower", "upper")[order.number % 2]
    return order.status.upper() if case == "upper" else str(order.status)


def _execution(order: Order, fill: Execution) -> dict[str, Any]:
    return {
        "executed_at": fill.ts_ns // SECOND,
        "fee_rate": text(fill.fee_rate * 100),
        "id": fill.id,
        "instrument": order.symbol,
        "liquidity": fill.liquidity,
        "price": number(fill.price),
        "qty": text(fill.qty),
        "side": order.ask.side,
    }
