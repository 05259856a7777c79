"""Prices, fees and quantities of a fill: plain arithmetic on floats, for every way of trading.

The paper broker, the engine that visits fills and the loop over bars all compute with these.
"""

from __future__ import annotations

import math

FRACTION, UNITS, NOTIONAL = 0, 1, 2
"""What a target is of: equity, the base, the quote."""
OFF, SHARE, DISTANCE, PRICE = 0, 1, 2, 3
"""How a level is said: not at all, a fraction of a price, a distance from it, itself a price."""
WHOLE = 2.0**52
"""From so many lots on a float holds no part of one; machine code would count on to 2⁶³ only."""
DUST = 1e-9
"""An order worth no more than this part of equity is what rounding left, and none."""


def to_tick(price: float, tick: float, up: int) -> float:
    """`price` on the grid of `tick`, up or down; a hair beside a grid point is on it.

    What is rounded down from below the first point is 0, which no market reaches.
    """
    if tick <= 0.0 or price != price:
        return price
    steps = price / tick
    near = math.floor(steps + 0.5)
    if abs(steps - near) > 1e-6:
        near = math.ceil(steps) if up else math.floor(steps)
    return max(near, 1.0 if up else 0.0) * tick


def on_grid(buying: int, price: float, tick: float) -> float:
    """What is paid or got for `price`: rounded against the trader.

    No grid point lies below the first: a sale there gets the price as it is, not one that is more.
    """
    if not buying and price < tick * (1 - 1e-6):
        return price
    return to_tick(price, tick, buying)


def priced(
    buying: int, reference: float, qty: float, move: float, half: float, tick: float, impact: float
) -> float:
    """The price paid: the reference moved against the trader, on the grid."""
    against = max(move, half * tick / reference)
    if impact > 0.0:
        against += impact * math.sqrt(qty)
    against = min(against, 0.99)
    price = reference * (1 + against) if buying else reference * (1 - against)
    return on_grid(buying, price, tick)


def fee_of(qty: float, price: float, rate: float, minimum: float) -> float:
    """The rate's part of the value, or the minimum where that is more."""
    return max(rate * qty * price, minimum)


def payable(cash: float, price: float, rate: float, minimum: float) -> float:
    """The largest quantity that `cash` pays at `price`, its fee included; may be negative."""
    return min(cash / (price * (1 + rate)), (cash - minimum) / price)


def cut(qty: float, scale: float) -> float:
    """`qty` cut to whole lots of 1 / `scale`; what lies a hair below one is that one.

    A hair is 10⁻⁹ of a lot and 10⁻¹² of the quantity, at most half a lot: more than sums in another
    order differ by, less than anybody could tell in money.
    """
    if scale <= 0.0:
        return qty
    lots = qty * scale
    if lots >= WHOLE:
        return qty
    return math.floor(lots + min(1e-9 + 1e-12 * lots, 0.5)) / scale


def tidied(position: float, scale: float) -> float:
    """A position without the dust of binary arithmetic: rounded to whole lots."""
    if scale <= 0.0:
        return position
    lots = position * scale
    if abs(lots) >= WHOLE:
        return position
    whole = float(math.floor(lots))
    apart = lots - whole
    if apart > 0.5 or (apart == 0.5 and whole % 2.0 == 1.0):  # halves to even, as round() does
        whole += 1.0
    return whole / scale


def desired(
    target: float, unit: int, equity: float, reference: float, max_position: float
) -> float:
    """The quantity to hold."""
    if unit == FRACTION:
        return target * equity / reference
    wanted = target if unit == UNITS else target / reference
    most = max_position * equity / reference
    return max(min(wanted, most), -most)


def allowed(
    delta: float,
    whole: int,
    held: float,
    cash: float,
    equity: float,
    others: float,
    reference: float,
    price: float,
    rate: float,
    minimum: float,
    scale: float,
    max_gross: float,
    min_notional: float,
) -> float:
    """`delta` as the account may trade it, signed; 0 is nothing.

    `whole` says that the position is to go altogether, uncut. A buy is cut to cash and to the room
    below the cap on gross exposure, a sell only where it goes short. Dust is traded only where
    nothing is left behind.
    """
    least = DUST * abs(equity)
    if delta < 0.0:
        qty = -delta
        if qty > held and not whole:
            qty = min(qty, max(held, 0.0) + room_short(max_gross, equity, others, reference, -held))
        if not whole:
            lots = cut(qty, scale)
            qty = min(lots, held) if qty <= held else lots  # half a lot held is no hair below one
        if qty <= 0.0 or qty * reference < min_notional or not (whole or qty * reference > least):
            return 0.0
        return -qty if fee_of(qty, price, rate, minimum) <= cash + qty * price else 0.0
    qty = min(delta, payable(cash, price, rate, minimum))
    if not whole:
        qty = min(qty, max(max_gross * equity - others, 0.0) / reference - held)
    all_of_it = whole and qty >= delta
    if not all_of_it:
        qty = cut(qty, scale)
    if qty <= 0.0 or qty * reference < min_notional or not (all_of_it or qty * reference > least):
        return 0.0
    return qty


def room_short(
    max_gross: float, equity: float, others: float, reference: float, short: float
) -> float:
    """How much more can be sold short."""
    return max((max_gross * equity - others) / reference - max(short, 0.0), 0.0)


def level(mode: int, value: float, price: float, sign: float) -> float:
    """The price that lies `value` below `price`, above it where `sign` is −1; NaN is none."""
    if mode == SHARE:
        return price - sign * (value * price)
    if mode == DISTANCE:
        return price - sign * value
    return value if mode == PRICE else math.nan
