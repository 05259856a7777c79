"""Tables that name their columns: which of somebody's names mean which of ours."""

from __future__ import annotations

import re

from cq.ingest.hints import hints_of
from cq.ingest.layout import Layout, plain, read_as
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.tables import Table

TIME = (
    "ts", "opentime", "klineopentime", "timestamp", "unixtimestamp", "unix", "timestampms",
    "transacttime", "datetime", "time", "date", "day", "t",
    "datahora", "dataehora", "horario", "hora", "data",
)  # fmt: skip
COMMON = {
    "ts": TIME,
    "symbol": ("symbol", "pair", "market", "ticker", "instrument", "simbolo", "par", "ativo"),
    "exchange": ("exchange", "venue", "corretora", "bolsa"),
}
OHLCV = COMMON | {
    "open": ("open", "openprice", "opening", "o", "abertura", "precodeabertura"),
    "high": ("high", "highprice", "highest", "h", "maxima", "maximo", "precomaximo"),
    "low": ("low", "lowprice", "lowest", "l", "minima", "minimo", "precominimo"),
    "close": ("close", "closeprice", "closing", "c", "fechamento", "precodefechamento", "ultimo"),
    "volume": ("volume", "vol", "basevolume", "basevol", "v"),
    "interval": ("interval", "timeframe"),
}
TRADES = COMMON | {
    "price": ("price", "px", "rate", "p", "preco"),
    "size": (
        "size",
        "qty",
        "quantity",
        "amount",
        "sz",
        "volume",
        "basevolume",
        "q",
        "quantidade",
        "qtd",
        "qtde",
    ),
    "side": ("side", "takerside", "aggressor", "type", "lado", "tipo"),
    "trade_id": ("tradeid", "id", "tid", "aggtradeid", "agggtradeid"),
}
MAKER = ("isbuyermaker", "buyermaker", "m")
WORDS = {"ohlcv": OHLCV, "trades": TRADES}
NEEDED = {
    "ohlcv": ("ts", "open", "high", "low", "close", "volume"),
    "trades": ("ts", "price", "size"),
}


def columns_of(names: tuple[str, ...], dataset: str) -> dict[str, str]:
    """Our names and the file's, as far as they can be told; of several volumes the base's."""
    by_plain: dict[str, str] = {}
    for name in names:
        by_plain.setdefault(plain(name), name)
    found = {
        ours: by_plain[word]
        for ours, words in WORDS[dataset].items()
        for word in reversed(words)
        if word in by_plain
    }
    if dataset == "ohlcv" and (base := _base_volume(names)):
        found["volume"] = base
    if dataset == "trades" and (maker := next((m for m in MAKER if m in by_plain), None)):
        found["side"] = by_plain[maker]
    return found


def _base_volume(names: tuple[str, ...]) -> str | None:
    """`volume_btc` beside `volume`, or the first of `Volume BTC` and `Volume USD`."""
    told = [name for name in names if re.fullmatch(r"volume[ _][a-z0-9]{2,10}", name.lower())]
    return told[0] if told else None


def table_of(source: Source, dataset: str) -> Table:
    """The table of a file with plain names; symbol and interval may stand in the file's name."""
    columns = columns_of(source.columns, dataset)
    hints = hints_of(source)
    return Table(
        columns,
        symbol=hints.leading_symbol,
        interval=hints.interval,
        maker_side=dataset == "trades" and plain(columns.get("side", "")) in MAKER,
    )


def is_named(dataset: str, source: Source) -> bool:
    """The file names every column that `dataset` needs."""
    return set(NEEDED[dataset]) <= set(columns_of(source.columns, dataset))


def lacking(dataset: str, source: Source) -> list[str]:
    """What a file that names half of the columns of `dataset` or more does not name."""
    needed = NEEDED.get(dataset, ())
    known = columns_of(source.columns, dataset) if needed else {}
    missing = [name for name in needed if name not in known]
    return missing if 2 * len(missing) <= len(needed) else []


def _read(source: Source, asked: Request) -> Piece:
    table = table_of(source, asked.dataset)
    piece = read_as(source, table, asked)
    took = [f"{ours} from {theirs}" for ours, theirs in table.columns.items() if ours in _TOLD]
    others = [
        name for name in source.columns if plain(name) in TIME and name != table.columns["ts"]
    ]
    ignored = f"{', '.join(others)} ignored" if others else ""
    told = [one for one in took if one.split(" from ")[0] != one.split(" from ")[1]]
    return piece.noting(", ".join(told), ignored)


_TOLD = ("ts", "volume", "size")


def _layout(name: str, dataset: str) -> Layout:
    needed = ", ".join(NEEDED[dataset])
    says = f"any table (CSV, JSON, Parquet, feather) with columns {needed}, in any order"
    return Layout(name, (dataset,), says, lambda source: is_named(dataset, source), _read)


LAYOUTS = (_layout("named-bars", "ohlcv"), _layout("named-trades", "trades"))
