"""The checks of a new order, in the order in which the exchange makes them.

Route, token, account and JSON types come before and belong to the routes. Here: pair, side, type,
fields, quantity bounds, balance, price bounds, cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from cq.sim import refusals as say
from cq.sim.listing import Listing
from cq.sim.money import is_multiple, lot_of, rounded
from cq.sim.orders import Ask
from cq.sim.trading_switches import TradingSwitches

TYPES: Final = ("market", "limit", "stoplimit", "post-only")


@dataclass(frozen=True)
class Terms:
    """What an order is checked against: the market, its state and what the account has."""

    listing: Listing
    band: tuple[Decimal, Decimal]
    last: Decimal
    available: Decimal
    """Free quote for a buy, free base for a sale."""
    sweep: Decimal
    """What a market buy of its size costs in the book, as far as the book goes."""


def check_kind(ask: Ask, switches: TradingSwitches) -> None:
    """Side, type, and the fields that the type needs."""
    if ask.side not in ("buy", "sell"):
        raise say.place(*say.SIDE)
    if ask.type not in TYPES:
        raise say.place(*say.TYPE)
    for value in (ask.qty, ask.limit_price, ask.stop_price, ask.cost):
        if value is not None and (value.adjusted() > 15 or len(value.as_tuple().digits) > 30):
            raise say.place(*say.SIZE)
    if ask.type == "stoplimit":
        if ask.side == "buy" and switches.buy_stop == "refused":
            raise say.place(*say.STOP_SIDE)
        if ask.stop_price is None:
            raise say.place(*say.NO_STOP)
    if ask.type != "market" and ask.limit_price is None:
        raise say.missing("limitPrice")
    if ask.qty is None and not by_cost(ask):
        raise say.missing("qty")
    if by_cost(ask) and switches.market_cost == "rejected":
        raise say.place(*say.PARAMETER)


def by_cost(ask: Ask) -> bool:
    """Whether it is a market buy that says what to spend; `qty` goes before `cost`."""
    return ask.type == "market" and ask.side == "buy" and ask.qty is None and ask.cost is not None


def check_terms(ask: Ask, terms: Terms, switches: TradingSwitches) -> None:
    """Quantity bounds, balance, price bounds, cost."""
    if ask.qty is not None:
        _quantity(ask.qty, terms.listing)
    if needed(ask, terms) > terms.available:
        raise say.place(*say.BALANCE)
    if ask.limit_price is not None and ask.type != "market":
        _price("limitPrice", "LIMIT_PRICE", ask.limit_price, terms, switches)
    if ask.type == "stoplimit":
        _stop(ask, terms, switches)
    _cost(ask, terms)


def needed(ask: Ask, terms: Terms) -> Decimal:
    """What the order puts on hold."""
    if by_cost(ask):
        return rounded(ask.cost or Decimal(0), "down")
    qty = ask.qty or Decimal(0)
    if ask.side == "sell":
        return qty
    if ask.type == "market":
        return terms.sweep
    return rounded((ask.limit_price or Decimal(0)) * qty, "up")


def _quantity(qty: Decimal, listing: Listing) -> None:
    if qty < listing.min_quantity:
        raise say.lower("qty", "INVALID_MIN_QUANTITY", listing.min_quantity)
    if qty > listing.max_quantity:
        raise say.higher("qty", "INVALID_MAX_QUANTITY", listing.max_quantity)
    if not is_multiple(qty, lot_of(listing.quantity_decimals)):
        raise say.place(*say.DECIMALS)


def _price(param: str, name: str, price: Decimal, terms: Terms, switches: TradingSwitches) -> None:
    low, high = terms.band
    if price < low or price <= 0:
        raise say.lower(param, f"INVALID_MIN_{name}", low)
    if price > high:
        raise say.higher(param, f"INVALID_MAX_{name}", high)
    if not is_multiple(price, terms.listing.tick):
        raise say.off_tick(price, terms.listing.tick, switches.off_tick_code)


def _stop(ask: Ask, terms: Terms, switches: TradingSwitches) -> None:
    stop, limit = ask.stop_price or Decimal(0), ask.limit_price or Decimal(0)
    if limit > stop if ask.side == "sell" else limit < stop:
        raise say.place(*say.STOP)
    if not is_multiple(stop, terms.listing.tick) or stop <= 0:
        raise say.off_tick(stop, terms.listing.tick, switches.off_tick_code)


def _cost(ask: Ask, terms: Terms) -> None:
    if by_cost(ask):
        cost = ask.cost or Decimal(0)
    else:
        price = terms.last if ask.type == "market" else ask.limit_price
        cost = (price or Decimal(0)) * (ask.qty or Decimal(0))
    if ask.type == "market" and cost < terms.listing.min_cost:
        raise say.place(*say.GENERIC)
    if not terms.listing.min_cost <= cost <= terms.listing.max_cost:
        raise say.place(*say.COST)
