"""Talks about tickers: as many requests as the symbols take."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from cq.exchanges.mercado_bitcoin import tickers as wire
from cq.exchanges.mercado_bitcoin.talks import Talk
from cq.utils import log


def tickers(symbols: Sequence[str]) -> Talk[pl.DataFrame]:
    """A row for each of `symbols` that the exchange knows, in their order; a log line for others.

    The exchange drops what it does not know, without a word.
    """
    found = []
    for question in wire.questions(symbols):
        found.append((yield question))
    rows = pl.concat(found).unique("symbol", keep="first")
    for symbol in set(symbols) - set(rows["symbol"]):
        log.event("rest", "tickers", level="WARNING", symbol=symbol, reason="no such market")
    asked = pl.DataFrame({"symbol": list(dict.fromkeys(symbols))})
    known = asked.join(rows, on="symbol", how="inner", maintain_order="left")
    return known.select(rows.columns)
