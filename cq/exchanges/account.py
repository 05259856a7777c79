"""What an exchange must tell of an account; everything outside its own folder knows only this.

Money is Decimal here, with exactly the digits that the exchange sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol


@dataclass(frozen=True)
class AccountInfo:
    """One of the accounts that an API key can see."""

    id: str
    name: str
    currency: str
    kind: str


@dataclass(frozen=True)
class Balance:
    """What an account holds of one asset; `on_hold` is bound by open orders."""

    asset: str
    available: Decimal
    on_hold: Decimal
    total: Decimal


@dataclass(frozen=True)
class TradingFees:
    """What a market takes of an account, as fractions of the traded notional."""

    symbol: str
    maker: Decimal
    taker: Decimal


@dataclass(frozen=True)
class Position:
    """An open order, as the exchange lists them under this name; it is no holding."""

    order_id: str
    symbol: str
    side: Literal["buy", "sell"]
    kind: str
    quantity: Decimal
    average_price: Decimal | None


class Account(Protocol):
    """The reading side of an account of one exchange."""

    @property
    def name(self) -> str:
        """The exchange's code in the lake."""
        ...

    def accounts(self) -> list[AccountInfo]:
        """The accounts that the API key can see."""
        ...

    def balances(self, account: str) -> Mapping[str, Balance]:
        """Asset → what `account` holds of it, by name, those with nothing included."""
        ...

    def fees(self, account: str, symbol: str) -> TradingFees:
        """What trading `symbol` costs `account`."""
        ...

    def positions(self, account: str, symbols: Sequence[str] = ()) -> list[Position]:
        """The open orders of `account`: of `symbols`, or of all markets."""
        ...

    def tier(self, account: str) -> str | None:
        """The fee tier of `account`; None where the exchange does not say."""
        ...
