"""Tables that name their columns: which of somebody's names mean which of ours."""

from __future__ import annotations

import polars as pl

from cq.errors import UnknownLayout
from cq.ingest.delimited import unique_names
from cq.ingest.hints import hints_of
from cq.ingest.layout import Layout, plain, raw_table, with_decimal
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Source
from cq.ingest.tables import Table
from cq.ingest.volumes import taken, volumes

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
    "volume": (),  # told in cq.ingest.volumes
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
    """Our names and the file's, as far as they can be told; of several volumes the likeliest."""
    by_plain: dict[str, str] = {}
    for name in names:
        by_plain.setdefault(plain(name), name)
    found = {
        ours: by_plain[word]
        for ours, words in WORDS[dataset].items()
        for word in reversed(words)
        if word in by_plain
    }
    if dataset == "ohlcv" and (likeliest := volumes(names)):
        found["volume"] = likeliest[0].column
    if dataset == "trades" and (maker := next((m for m in MAKER if m in by_plain), None)):
        found["side"] = by_plain[maker]
    return found


def table_of(source: Source, asked: Request) -> Table:
    """The table of a file with plain names; symbol and interval may stand in the file's name."""
    columns = columns_of(source.columns, asked.dataset)
    hints = hints_of(source)
    market = asked.symbol or hints.leading_symbol
    volume = taken(source.path, source.columns, market) if asked.dataset == "ohlcv" else None
    return Table(
        columns | ({"volume": volume.column} if volume else {}),
        symbol=hints.leading_symbol,
        interval=hints.interval,
        maker_side=asked.dataset == "trades" and plain(columns.get("side", "")) in MAKER,
        volume_in=volume.currency if volume else "",
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
    table = table_of(source, asked)
    again = _again(source.columns, table)
    raw, spoiled = raw_table(source, tuple(dict.fromkeys((*table.columns.values(), *again))))
    for name, first in again.items():
        _refuse_another(source, raw, first, name)
    piece = with_decimal(source, raw, table, asked, spoiled)
    took = [f"{ours} from {theirs}" for ours, theirs in table.columns.items() if ours in _TOLD]
    others = [
        name for name in source.columns if plain(name) in TIME and name != table.columns["ts"]
    ]
    ignored = f"{', '.join(others)} ignored" if others else ""
    told = [one for one in took if one.split(" from ")[0] != one.split(" from ")[1]]
    return piece.noting(", ".join(told), ignored)


_TOLD = ("ts", "volume", "size")


def _again(names: tuple[str, ...], table: Table) -> dict[str, str]:
    """The columns that are called as one before them that is taken, and that one."""
    taken = {plain(name): name for name in table.columns.values()}
    known = zip(unique_names(names), names, strict=True)
    return {
        ours: taken[plain(name)]
        for ours, name in known
        if plain(name) in taken and ours != taken[plain(name)]
    }


def _refuse_another(source: Source, raw: pl.DataFrame, first: str, second: str) -> None:
    """Refuse two columns of one name where they differ; either could be the one that is meant."""
    one, other = (raw[name].cast(pl.String) for name in (first, second))
    if (row := one.ne_missing(other).arg_max()) is None or one[row] == other[row]:
        return
    places = [unique_names(source.columns).index(name) + 1 for name in (first, second)]
    raise UnknownLayout(
        source.path,
        f"calls columns {places[0]} and {places[1]} {first}, and they differ (first {one[row]} and "
        f"{other[row]}); say which by its position in a --mapping FILE",
    )


def _layout(name: str, dataset: str) -> Layout:
    needed = ", ".join(NEEDED[dataset])
    says = f"any table (CSV, JSON, Parquet, feather) with columns {needed}, in any order"
    return Layout(name, (dataset,), says, lambda source: is_named(dataset, source), _read)


LAYOUTS = (_layout("named-bars", "ohlcv"), _layout("named-trades", "trades"))
