"""Exchanges: what one must offer, and Mercado Bitcoin."""

from cq.exchanges.account import Account
from cq.exchanges.market import Books, MarketData, TradeHistory

__all__ = ["Account", "Books", "MarketData", "TradeHistory"]
