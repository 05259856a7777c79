"""Mercado Bitcoin (Brazil, spot): everything that knows its wire lives in this folder."""

from cq.exchanges.mercado_bitcoin.account import (
    AsyncMercadoBitcoinAccount,
    MercadoBitcoinAccount,
)
from cq.exchanges.mercado_bitcoin.async_market import AsyncMercadoBitcoin
from cq.exchanges.mercado_bitcoin.async_rest import AsyncRest
from cq.exchanges.mercado_bitcoin.market import EXCHANGE, MercadoBitcoin
from cq.exchanges.mercado_bitcoin.rest import Rest

__all__ = [
    "EXCHANGE",
    "AsyncMercadoBitcoin",
    "AsyncMercadoBitcoinAccount",
    "AsyncRest",
    "MercadoBitcoin",
    "MercadoBitcoinAccount",
    "Rest",
]
