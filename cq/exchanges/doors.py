"""The exchanges that cq knows, by name: how to open each, without a word of its wire."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from cq.errors import UsageError
from cq.exchanges.feed import Feed
from cq.exchanges.market import Books, MarketData, TradeHistory
from cq.utils.settings import Ingestion


class Market(MarketData, TradeHistory, Books, Protocol):
    """Everything public that an exchange answers when it is asked."""


class Opening(Protocol):
    """Opens what can be asked of an exchange."""

    def __call__(
        self, ingestion: Ingestion, *, sleep: Callable[[float], None] | None = None
    ) -> AbstractContextManager[Market]:
        """A market; a `sleep` of the caller's own may raise, so that no wait outlives its use."""
        ...


@dataclass(frozen=True)
class Exchange:
    """How to reach an exchange: `market` opens what is asked, `feed` what is streamed."""

    name: str
    market: Opening
    feed: Callable[[Ingestion], Feed]


def exchange(name: str = "mercadobitcoin") -> Exchange:
    """The exchange of that code in the lake; UsageError where cq does not know it."""
    if name not in KNOWN:
        raise UsageError(f"{name} is no exchange that cq can reach; there is {', '.join(KNOWN)}")
    return KNOWN[name]()


def _mercado_bitcoin() -> Exchange:
    from cq.exchanges.mercado_bitcoin import EXCHANGE, MercadoBitcoin, Rest
    from cq.exchanges.mercado_bitcoin.feed import MercadoBitcoinFeed

    def market(
        ingestion: Ingestion, *, sleep: Callable[[float], None] | None = None
    ) -> MercadoBitcoin:
        return MercadoBitcoin(Rest(ingestion, sleep=sleep))

    return Exchange(EXCHANGE, market, MercadoBitcoinFeed)


KNOWN: Final[dict[str, Callable[[], Exchange]]] = {"mercadobitcoin": _mercado_bitcoin}
"""An exchange's code → what makes it; its folder is imported only then."""
