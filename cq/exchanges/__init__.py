"""Exchanges: what one must offer, and Mercado Bitcoin."""

from cq.exchanges.market import MarketData

__all__ = ["MarketData"]
