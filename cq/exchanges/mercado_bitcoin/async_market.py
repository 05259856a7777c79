"""Mercado Bitcoin's public market data for event loops: `MercadoBitcoin`, to be awaited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import polars as pl

from cq.exchanges.market import period
from cq.exchanges.mercado_bitcoin import (
    assets,
    bar_talks,
    books,
    listing,
    ticker_talks,
    trade_talks,
    trades,
)
from cq.exchanges.mercado_bitcoin.async_rest import AsyncRest
from cq.exchanges.mercado_bitcoin.candles import INTERVALS
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE
from cq.exchanges.mercado_bitcoin.talks import Result, Talk, hold_later, just
from cq.exchanges.trade_pages import Ask
from cq.lake.lake import Moment

__all__ = ["AsyncMercadoBitcoin"]


class AsyncMercadoBitcoin:
    """Public market data over REST v4 for one event loop; the same words as `MercadoBitcoin`."""

    name = EXCHANGE
    intervals = INTERVALS
    trade_cap = trades.LIMIT

    def __init__(self, rest: AsyncRest) -> None:
        self.rest = rest

    @property
    def trades_by_id(self) -> bool:
        """Whether `ingestion.trades_after` names a parameter that asks for trades by id."""
        return self.rest.trades_after in trade_talks.PARAMETERS

    async def fetch_ohlcv(
        self, symbol: str, start: Moment, end: Moment, interval: str
    ) -> pl.DataFrame:
        """Every closed bar that opens in [start, end), oldest first, in as many pages as it takes.

        Buckets without a trade are left out. UsageError for an interval that the exchange lacks.
        """
        first, last = period(start, end, self.rest.time_ns())
        return await self._hold(bar_talks.whole(symbol, interval, first, last, self.rest.time_ns))

    async def fetch_trades(self, symbol: str, start: Moment, end: Moment) -> pl.DataFrame:
        """Every trade of [start, end), by rising id, in as many pages as it takes.

        TradesMissing (with what was found) where ids show that the exchange kept some back, or
        where it gives nothing older than trades in the range, whose ids show that there was more.
        """
        first, last = period(start, end, self.rest.time_ns())
        return await self._hold(trade_talks.whole(symbol, first, last, self.rest.trades_after))

    async def fetch_orderbook(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        """The best `depth` levels of each side now: one row of the lake's `orderbook_l2`."""
        return await self.book(symbol, depth)

    async def symbols(self, only: Sequence[str] = ()) -> dict[str, listing.Listing]:
        """Symbol → listing of every market, or `only` of these."""
        return await self._hold(just(listing.question(only)))

    async def tickers(self, symbols: Sequence[str]) -> pl.DataFrame:
        """Last price, best bid and ask, 24 h range and volume: a row for each market it knows."""
        return await self._hold(ticker_talks.tickers(symbols))

    async def asset_fees(self, asset: str, network: str | None = None) -> assets.AssetFees:
        """What moving `asset` costs, over its default network unless told."""
        return await self._hold(just(assets.fees(asset, network)))

    async def networks(self, asset: str) -> tuple[assets.Network, ...]:
        """Over which networks `asset` moves."""
        return await self._hold(just(assets.networks(asset)))

    async def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """What one reply holds of [start_ns, end_ns), the bar in progress included."""
        return await self._hold(bar_talks.candles(symbol, interval, start_ns, end_ns))

    async def trades_after(self, symbol: str, trade_id: int) -> pl.DataFrame:
        """The trades right after `trade_id`, by rising id and without a hole; 1,000 at most.

        Empty only where the exchange has nothing newer. TradesMissing where it has, but not those.
        """
        return await self._hold(trade_talks.after(symbol, trade_id, self.rest.trades_after))

    async def trades_between(self, symbol: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """What one reply holds of the trades of [start_ns, end_ns); cut at 1,000, at either end."""
        return await self._hold(trade_talks.between(symbol, start_ns, end_ns))

    async def newest_trades(self, symbol: str, count: int = trades.LIMIT) -> pl.DataFrame:
        """The last trades, by rising id."""
        return await self._hold(just(trades.newest(symbol, count)))

    async def missing_trades(self, symbol: str, first_id: int, last_id: int) -> pl.DataFrame:
        """Every trade of [first_id, last_id], by rising id, in as many requests as it takes.

        TradesMissing (with what was found) where the exchange does not give some of them.
        """
        return await self._hold(
            trade_talks.missing(symbol, first_id, last_id, self.rest.trades_after)
        )

    async def trade_page(self, symbol: str, ask: Ask) -> pl.DataFrame:
        """One reply to what a plan of `cq.exchanges.trade_pages` wishes to know."""
        return await self._hold(just(trade_talks.question_of(ask, symbol, self.rest.trades_after)))

    async def book(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        """The best `depth` levels of each side now: one row of the lake's `orderbook_l2`."""
        row = await self._hold(just(books.question(symbol, depth)))
        if row.item(0, "ts") is not None:
            self.rest.note_time(row.item(0, "ts"))
        return row

    def time_ns(self, now_ns: int) -> int:
        """The exchange's clock at `now_ns`, a second late at most; `now_ns` itself at first."""
        return now_ns + (self.rest.offset_ns or 0)

    async def close(self) -> None:
        """Let the connections go."""
        await self.rest.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _hold(self, talk: Talk[Result]) -> Result:
        return await hold_later(talk, self.rest.ask)
