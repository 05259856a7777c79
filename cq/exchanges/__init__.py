"""Exchanges: what one must offer, and Mercado Bitcoin."""

from cq.exchanges.market import Books, MarketData, TradeHistory

__all__ = ["Books", "MarketData", "TradeHistory"]
