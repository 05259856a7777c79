"""Mercado Bitcoin's public market data, in the lake's words; `AsyncMercadoBitcoin` is its twin."""

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
from cq.exchanges.mercado_bitcoin.candles import INTERVALS
from cq.exchanges.mercado_bitcoin.rest import Rest
from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE
from cq.exchanges.mercado_bitcoin.talks import Result, Talk, hold, just
from cq.exchanges.trade_pages import Ask
from cq.lake.lake import Moment

__all__ = ["EXCHANGE", "MercadoBitcoin"]


class MercadoBitcoin:
    """Public market data over REST v4, e.g. `MercadoBitcoin(Rest(settings.ingestion))`.

    It is a `cq.exchanges.MarketData` and a `cq.exchanges.TradeHistory`. Moments may be dates,
    datetimes (naive ones are UTC), text such as `2026-01-31`, or nanoseconds.
    """

    name = EXCHANGE
    intervals = INTERVALS
    trade_cap = trades.LIMIT

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    @property
    def trades_by_id(self) -> bool:
        """Whether `ingestion.trades_after` names a parameter that asks for trades by id."""
        return self.rest.trades_after in trade_talks.PARAMETERS

    def fetch_ohlcv(self, symbol: str, start: Moment, end: Moment, interval: str) -> pl.DataFrame:
        """Every closed bar that opens in [start, end), oldest first, in as many pages as it takes.

        Buckets without a trade are left out. UsageError for an interval that the exchange lacks.
        """
        first, last = period(start, end, self.rest.time_ns())
        return self._hold(bar_talks.whole(symbol, interval, first, last, self.rest.time_ns))

    def fetch_trades(self, symbol: str, start: Moment, end: Moment) -> pl.DataFrame:
        """Every trade of [start, end), by rising id, in as many pages as it takes.

        TradesMissing (with what was found) where ids show that the exchange kept some back, or
        where it gives nothing older than trades in the range, whose ids show that there was more.
        """
        first, last = period(start, end, self.rest.time_ns())
        return self._hold(trade_talks.whole(symbol, first, last, self.rest.trades_after))

    def fetch_orderbook(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        """The best `depth` levels of each side now: one row of the lake's `orderbook_l2`."""
        return self.book(symbol, depth)

    def symbols(self, only: Sequence[str] = ()) -> dict[str, listing.Listing]:
        """Symbol → listing of every market, or `only` of these."""
        return self._hold(just(listing.question(only)))

    def tickers(self, symbols: Sequence[str]) -> pl.DataFrame:
        """Last price, best bid and ask, 24 h range and volume: a row for each market it knows."""
        return self._hold(ticker_talks.tickers(symbols))

    def asset_fees(self, asset: str, network: str | None = None) -> assets.AssetFees:
        """What moving `asset` costs, over its default network unless told."""
        return self._hold(just(assets.fees(asset, network)))

    def networks(self, asset: str) -> tuple[assets.Network, ...]:
        """Over which networks `asset` moves."""
        return self._hold(just(assets.networks(asset)))

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """What one reply holds of [start_ns, end_ns), the bar in progress included."""
        return self._hold(bar_talks.candles(symbol, interval, start_ns, end_ns))

    def trades_after(self, symbol: str, trade_id: int) -> pl.DataFrame:
        """The trades right after `trade_id`, by rising id and without a hole; 1,000 at most.

        Empty only where the exchange has nothing newer. TradesMissing where it has, but not those.
        """
        return self._hold(trade_talks.after(symbol, trade_id, self.rest.trades_after))

    def trades_between(self, symbol: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """What one reply holds of the trades of [start_ns, end_ns); cut at 1,000, at either end."""
        return self._hold(trade_talks.between(symbol, start_ns, end_ns))

    def newest_trades(self, symbol: str, count: int = trades.LIMIT) -> pl.DataFrame:
        """The last trades, by rising id."""
        return self._hold(just(trades.newest(symbol, count)))

    def missing_trades(self, symbol: str, first_id: int, last_id: int) -> pl.DataFrame:
        """Every trade of [first_id, last_id], by rising id, in as many requests as it takes.

        TradesMissing (with what was found) where the exchange does not give some of them.
        """
        return self._hold(trade_talks.missing(symbol, first_id, last_id, self.rest.trades_after))

    def trade_page(self, symbol: str, ask: Ask) -> pl.DataFrame:
        """One reply to what a plan of `cq.exchanges.trade_pages` wishes to know."""
        return self._hold(just(trade_talks.question_of(ask, symbol, self.rest.trades_after)))

    def book(self, symbol: str, depth: int = 20) -> pl.DataFrame:
        """The best `depth` levels of each side now: one row of the lake's `orderbook_l2`."""
        row = self._hold(just(books.question(symbol, depth)))
        if row.item(0, "ts") is not None:
            self.rest.note_time(row.item(0, "ts"))
        return row

    def time_ns(self, now_ns: int) -> int:
        """The exchange's clock at `now_ns`, a second late at most; `now_ns` itself at first."""
        return now_ns + (self.rest.offset_ns or 0)

    def close(self) -> None:
        """Let the connections go."""
        self.rest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hold(self, talk: Talk[Result]) -> Result:
        return hold(talk, self.rest.ask)
