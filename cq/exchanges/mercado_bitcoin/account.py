"""Mercado Bitcoin's accounts, in both manners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cq.exchanges.account import AccountInfo, Balance, Position, TradingFees
from cq.exchanges.mercado_bitcoin import accounts as wire
from cq.exchanges.mercado_bitcoin.async_rest import AsyncRest
from cq.exchanges.mercado_bitcoin.rest import Rest
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE
from cq.exchanges.mercado_bitcoin.talks import hold, hold_later, just


class MercadoBitcoinAccount:
    """What an API key may read over REST v4; a `cq.exchanges.Account`."""

    name: Final = EXCHANGE

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    def accounts(self) -> list[AccountInfo]:
        """The accounts that the API key can see."""
        return self.rest.ask(wire.accounts())

    def balances(self, account: str) -> dict[str, Balance]:
        """Asset → what `account` holds of it, by name, those with nothing included."""
        return self.rest.ask(wire.balances(account))

    def fees(self, account: str, symbol: str) -> TradingFees:
        """What trading `symbol` costs `account`, as fractions."""
        return hold(just(wire.fees(account, symbol)), self.rest.ask)

    def positions(self, account: str, symbols: Sequence[str] = ()) -> list[Position]:
        """The open orders of `account`: of `symbols`, or of all markets."""
        return self.rest.ask(wire.positions(account, symbols))

    def tier(self, account: str) -> str | None:
        """The fee tier of `account`; None where the exchange does not say."""
        return hold(wire.tier(account), self.rest.ask)


class AsyncMercadoBitcoinAccount:
    """`MercadoBitcoinAccount` for event loops: the same names, awaited."""

    name: Final = EXCHANGE

    def __init__(self, rest: AsyncRest) -> None:
        self.rest = rest

    async def accounts(self) -> list[AccountInfo]:
        """The accounts that the API key can see."""
        return await self.rest.ask(wire.accounts())

    async def balances(self, account: str) -> dict[str, Balance]:
        """Asset → what `account` holds of it, by name, those with nothing included."""
        return await self.rest.ask(wire.balances(account))

    async def fees(self, account: str, symbol: str) -> TradingFees:
        """What trading `symbol` costs `account`, as fractions."""
        return await hold_later(just(wire.fees(account, symbol)), self.rest.ask)

    async def positions(self, account: str, symbols: Sequence[str] = ()) -> list[Position]:
        """The open orders of `account`: of `symbols`, or of all markets."""
        return await self.rest.ask(wire.positions(account, symbols))

    async def tier(self, account: str) -> str | None:
        """The fee tier of `account`; None where the exchange does not say."""
        return await hold_later(wire.tier(account), self.rest.ask)
