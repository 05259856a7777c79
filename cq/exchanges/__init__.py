"""Exchanges: what one must offer, and Mercado Bitcoin."""

from cq.exchanges.account import Account
from cq.exchanges.doors import Exchange, Market, exchange
from cq.exchanges.feed import Feed, Missing
from cq.exchanges.market import Books, Clocked, MarketData, TradeHistory
from cq.exchanges.trading import Trading

__all__ = [
    "Account",
    "Books",
    "Clocked",
    "Exchange",
    "Feed",
    "Market",
    "MarketData",
    "Missing",
    "TradeHistory",
    "Trading",
    "exchange",
]
