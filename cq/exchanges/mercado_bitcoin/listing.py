"""The markets that the exchange lists: `/symbols`, which answers in arrays that lie side by side.

What is said of prices and quantities is ambiguous, so both readings of the tick are kept, and the
prices of a book decide between them (`price_step`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.numbers import decimal, parsed
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.symbols import checked

PATH: Final = "/symbols"
MOST_DECIMALS: Final = 18


@dataclass(frozen=True)
class Listing:
    """One market as the exchange lists it; None is what it did not say.

    `tick_stated` takes `minmovement` for the smallest step of a price, as the documents do;
    `tick_scaled` divides it by `pricescale`, as the names suggest. `is_traded` is true for dead
    markets too.
    """

    symbol: str
    base: str
    quote: str
    description: str = ""
    kind: str = ""
    is_listed: bool | None = None
    is_traded: bool | None = None
    tick_stated: Decimal | None = None
    tick_scaled: Decimal | None = None
    size_decimals: int | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    min_cost: Decimal | None = None
    max_cost: Decimal | None = None
    withdrawal_fee: Decimal | None = None
    withdraw_minimum: Decimal | None = None
    deposit_minimum: Decimal | None = None
    timezone: str | None = None
    session: str | None = None

    @property
    def ticks(self) -> tuple[Decimal, ...]:
        """The readings of the tick, coarsest first."""
        return tuple(sorted({one for one in (self.tick_stated, self.tick_scaled) if one}))[::-1]

    def price_step(self, prices: Iterable[Decimal | float]) -> Decimal | None:
        """The coarsest reading of the tick that all of these prices keep.

        Where they keep none, the last decimal that they have; None where nothing decides. A float,
        such as a frame of a book has, is the shortest decimal that rounds to it.
        """
        seen = [one if isinstance(one, Decimal) else Decimal(str(one)) for one in prices]
        if not seen:
            return self.ticks[0] if len(self.ticks) == 1 else None
        for tick in self.ticks:
            if not any(price % tick for price in seen):
                return tick
        return Decimal(1).scaleb(min(_exponent(price) for price in seen))


def question(symbols: Sequence[str] = ()) -> Question[dict[str, Listing]]:
    """Ask for these markets, or for all of them."""
    query = {"symbols": ",".join(checked(one) for one in symbols)} if symbols else {}
    return Question("symbols", PATH, listings_from, query)


def listings_from(body: str | bytes) -> dict[str, Listing]:
    """Symbol → listing, in alphabetical order, since the exchange's own changes between calls.

    Arrays that are absent, null or null in places say nothing; one of another length than
    `symbol` could belong to the wrong market and makes the reply unreadable.
    """
    said = parsed(body, PATH)
    if not isinstance(said, dict) or not isinstance(said.get("symbol"), list):
        raise Unreadable(PATH, "it has no array symbol")
    names: list[Any] = said["symbol"]
    columns = {name: values for name, values in said.items() if isinstance(values, list)}
    for name, values in columns.items():
        if len(values) != len(names):
            raise Unreadable(PATH, f"its arrays differ in length (symbol {len(names)}, {name} "
                             f"{len(values)})")  # fmt: skip
    rows = (
        {name: values[number] for name, values in columns.items()} for number in range(len(names))
    )
    found = [_listing(row) for row in rows if isinstance(row["symbol"], str) and row["symbol"]]
    return {one.symbol: one for one in sorted(found, key=lambda one: one.symbol)}


def _listing(row: Mapping[str, Any]) -> Listing:
    base, _, quote = str(row["symbol"]).partition("-")
    stated, scale = decimal(row.get("minmovement")), decimal(row.get("pricescale"))
    return Listing(
        symbol=row["symbol"],
        base=_text(row.get("base-currency")) or base,
        quote=_text(row.get("currency")) or quote,
        description=_text(row.get("description")) or "",
        kind=_text(row.get("type")) or "",
        is_listed=_flag(row.get("exchange-listed")),
        is_traded=_flag(row.get("exchange-traded")),
        tick_stated=_positive(stated),
        tick_scaled=_positive(stated / scale if stated and scale else None),
        size_decimals=size_decimals(row.get("round-lot")),
        min_price=decimal(row.get("min-price")),
        max_price=decimal(row.get("max-price")),
        min_size=decimal(row.get("min-volume")),
        max_size=decimal(row.get("max-volume")),
        min_cost=decimal(row.get("min-cost")),
        max_cost=decimal(row.get("max-cost")),
        withdrawal_fee=decimal(row.get("withdrawal-fee")),
        withdraw_minimum=decimal(row.get("withdraw-minimum")),
        deposit_minimum=decimal(row.get("deposit-minimum")),
        timezone=_text(row.get("timezone")),
        session=_text(row.get("session-regular")),
    )


def size_decimals(round_lot: object) -> int | None:
    """How many decimals a quantity may have, from `round-lot`, whose type is not documented.

    Read as the lot itself up to 1 (`0.00001` is 5 decimals), as a scale where it is a power of
    ten (`100000` is 5), else as the count (`5`); None where it is none of these.
    """
    lot = _positive(decimal(round_lot))
    if lot is None:
        return None
    digits, exponent = lot.normalize().as_tuple()[1:]
    power = int(exponent) if digits == (1,) else None
    if lot <= 1:
        found = None if power is None else -power
    elif power is not None:
        found = power
    else:
        found = int(lot) if lot == lot.to_integral_value() else None
    return found if found is not None and found <= MOST_DECIMALS else None


def _exponent(price: Decimal) -> int:
    return int(price.normalize().as_tuple().exponent)


def _positive(value: Decimal | None) -> Decimal | None:
    return value if value is not None and value > 0 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
