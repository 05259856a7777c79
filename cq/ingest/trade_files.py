"""Layouts of trades, apart from captured streams."""

from __future__ import annotations

import re

from cq.ingest.hints import hints_of
from cq.ingest.layout import Layout, by_position, fields, read_as
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.stamps import Stamp
from cq.ingest.tables import Table

TRADES = ("trades",)
BITCOINCHARTS = {"mrcd": "mercadobitcoin"}


def _is_bitcoincharts(source: Source) -> bool:
    return fields(source) == 3 and source.kind == "delimited"


def _bitcoincharts(source: Source, asked: Request) -> Piece:
    found = re.fullmatch(r"([a-z0-9]+)([A-Z]{3})", source.name.lstrip(".").split(".")[0])
    table = Table(
        by_position("ts price size"),
        stamp=Stamp(unit="s"),
        symbol=f"BTC-{found[2]}" if found else hints_of(source).symbol,
        exchange=BITCOINCHARTS.get(found[1], found[1]) if found else None,
    )
    return read_as(source, table, asked)


_BINANCE = {
    7: by_position("trade_id price size - ts side -"),
    8: by_position("trade_id price size - - ts side -"),
}


def _matches_binance(source: Source) -> bool:
    width = fields(source)
    if source.kind != "delimited" or width not in _BINANCE:
        return False
    return source.shape.first_fields[-2].strip().lower() in ("true", "false")


def _binance(source: Source, asked: Request) -> Piece:
    table = Table(
        _BINANCE.get(fields(source), _BINANCE[7]),
        symbol=hints_of(source).symbol,
        exchange="binance",
        maker_side=True,
    )
    return read_as(source, table, asked)


LAYOUTS = (
    Layout(
        "bitcoincharts",
        TRADES,
        "bitcoincharts CSV without a header: unix seconds, price, amount (mrcdBRL)",
        _is_bitcoincharts,
        _bitcoincharts,
    ),
    Layout(
        "binance-trades",
        TRADES,
        "Binance trades or aggTrades CSV without a header (7 or 8 columns)",
        _matches_binance,
        _binance,
    ),
)
