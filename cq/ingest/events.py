"""Live market data as events: functions that call back for each trade, book or ticker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, Final

import polars as pl

from cq.errors import UsageError
from cq.exchanges import exchange
from cq.exchanges.feed import BOOKS, TICKERS, TRADES, Batch
from cq.ingest.live_feed import LiveFeed
from cq.ingest.workers import pausing
from cq.utils import config
from cq.utils.settings import Ingestion

OnEvent = Callable[[dict[str, Any]], None]

_ROWS: Final[dict[str, Callable[[Batch], pl.DataFrame]]] = {
    TRADES: lambda batch: batch.trades,
    BOOKS: lambda batch: batch.books,
    TICKERS: lambda batch: batch.tickers,
}


def stream_trades(
    symbols: Sequence[str],
    on_event: OnEvent,
    stop_event: Event,
    *,
    ingestion: Ingestion | None = None,
) -> None:
    """Call `on_event` for each trade of `symbols` until `stop_event` is set.

    An event has ts, price, size, side, trade_id, symbol and exchange, as a row of the lake. Each
    market's trades come once, in order of their ids, without a hole, from the first one that the
    socket brings. Settings are the project's where `ingestion` gives no other.
    """
    _stream(TRADES, symbols, on_event, stop_event, ingestion)


def stream_orderbook(
    symbols: Sequence[str],
    on_event: OnEvent,
    stop_event: Event,
    *,
    depth: int | None = None,
    ingestion: Ingestion | None = None,
) -> None:
    """Call `on_event` for each new order book of `symbols` until `stop_event` is set.

    An event has ts, bids, asks (both best first, of price and size), symbol and exchange. A market
    that is silent at first begins with its book from REST. `depth` is 10, 20, 50, 100 or 200.
    """
    _stream(BOOKS, symbols, on_event, stop_event, ingestion, depth)


def stream_tickers(
    symbols: Sequence[str],
    on_event: OnEvent,
    stop_event: Event,
    *,
    ingestion: Ingestion | None = None,
) -> None:
    """Call `on_event` for each ticker of `symbols` until `stop_event` is set.

    An event has ts, high, low, vol, last, buy, sell, open (of 24 hours), symbol and exchange.
    """
    _stream(TICKERS, symbols, on_event, stop_event, ingestion)


def _stream(
    channel: str,
    symbols: Sequence[str],
    on_event: OnEvent,
    stop: Event,
    ingestion: Ingestion | None,
    depth: int | None = None,
) -> None:
    if not symbols:
        raise UsageError("no symbol to stream; name some, such as BTC-BRL")
    chosen = ingestion or config.load(config.find_project()).settings.ingestion
    if depth is not None:
        stream = chosen.stream.model_copy(update={"book_depth": depth})
        chosen = chosen.model_copy(update={"stream": stream})
    reached, ended = exchange(), Event()
    with reached.market(chosen, sleep=pausing(ended)) as market:
        live = LiveFeed(reached.feed(chosen), market, symbols, chosen.stream, channels=(channel,))
        try:
            asyncio.run(_call(live, channel, on_event, stop))
        finally:
            ended.set()


async def _call(live: LiveFeed, channel: str, on_event: OnEvent, stop: Event) -> None:
    batches = live.batches(stop)
    try:
        async for batch in batches:
            for event in _ROWS[channel](batch).iter_rows(named=True):
                if stop.is_set():
                    return
                on_event(event)
    finally:
        await batches.aclose()  # type: ignore[attr-defined]
