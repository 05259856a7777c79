"""Exact money: every amount is a Decimal with 8 places, and says which way it was rounded."""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    InvalidOperation,
    Overflow,
)
from typing import Final, Literal

UNIT: Final = Decimal("0.00000001")
"""The last digit of every amount."""
ZERO: Final = Decimal("0.00000000")
EXACT: Final = Context(prec=100, traps=[InvalidOperation, Overflow])
"""Wide enough that no product or sum of prices, sizes and rates loses a digit."""

Rounding = Literal["up", "down", "half_even"]
_ROUNDING: Final = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "half_even": ROUND_HALF_EVEN}


def rounded(value: Decimal, how: Rounding, unit: Decimal = UNIT) -> Decimal:
    """`value` with 8 places, or those of another `unit` that is a power of ten."""
    return value.quantize(unit, rounding=_ROUNDING[how], context=EXACT)


def lot_of(decimals: int) -> Decimal:
    """The smallest step of a size with so many decimals."""
    return Decimal(1).scaleb(-decimals)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` lies on a step."""
    return EXACT.remainder(value, step) == 0


def text(value: Decimal) -> str:
    """As the wire writes an amount: 8 places, no exponent."""
    return f"{rounded(value, 'down'):f}"


def number(value: Decimal) -> int | float:
    """As the wire writes a price in an order: a JSON number, whole where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)
