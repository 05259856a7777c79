"""From a table with somebody's columns to rows in the lake's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from cq.errors import UnknownLayout, UsageError
from cq.ingest.decimals import with_point
from cq.ingest.pieces import BROKEN, Piece, Request, as_written, decided
from cq.ingest.stamps import GENESIS, SINCE, Stamp, interval_of_step, most_common_step, nanoseconds
from cq.ingest.symbols import mapping_of
from cq.ingest.trade_rows import with_side_and_id
from cq.ingest.volumes import hold_against
from cq.utils.time import DAY, HOUR, SECOND, YEAR, interval_ns, iso

NUMBERS = {
    "ohlcv": ("open", "high", "low", "close", "volume"),
    "trades": ("price", "size"),
}


@dataclass(frozen=True)
class Table:
    """How the columns of a file become the lake's.

    `columns` maps the lake's name to the file's. `symbol`, `exchange` and `interval` are what the
    layout or the file's name says; an option wins over a column, a column over these.
    `default_quote` completes symbols that name the base alone. `maker_side` says that the column
    `side` tells whether the buyer was the maker. `volume_in` is the currency that the volume's own
    name says, which has to be the base of every symbol.
    """

    columns: Mapping[str, str]
    stamp: Stamp = field(default_factory=Stamp)
    symbol: str | None = None
    exchange: str | None = None
    interval: str | None = None
    default_quote: str | None = None
    maker_side: bool = False
    volume_in: str = ""
    decimal: str = "."


def normalise(
    path: Path, raw: pl.DataFrame, table: Table, asked: Request, spoiled: pl.Series | None = None
) -> Piece:
    """`raw` in the columns of the asked dataset; rows that cannot be read go to `broken`.

    `spoiled` are lines that did not even fit into columns.
    """
    _require(path, raw, table, asked.dataset)
    symbol, said_symbol = _symbol(path, raw, table, asked)
    if table.volume_in:
        symbols = [symbol] if isinstance(symbol, str) else symbol.unique().to_list()
        hold_against(path, table.columns["volume"], table.volume_in, symbols)
    exchange, said_exchange = decided(
        path, "exchange", asked.exchange, _column(raw, table, "exchange"), table.exchange
    )
    zone = asked.timezone or table.stamp.timezone or asked.default_timezone
    stamps = nanoseconds(raw[table.columns["ts"]], _stamp_in(table.stamp, zone), zone)
    _some_are_read(path, raw[table.columns["ts"]], stamps.ts, f"times ({stamps.said})", least=1)
    old = before_bitcoin(path, table.columns["ts"], stamps.ts)
    numbers, unread = _numbers(path, raw, table, asked.dataset)
    rows = pl.DataFrame([stamps.ts.alias("ts"), *numbers]).with_columns(
        _named(symbol, "symbol"), _named(exchange, "exchange")
    )
    if asked.dataset == "ohlcv":
        interval, said_interval = _interval(path, raw, _without(rows, old), table, asked)
        rows = rows.with_columns(_named(interval, "interval"))
    else:
        said_interval = ""
        rows = with_side_and_id(
            rows, _column(raw, table, "side"), _column(raw, table, "trade_id"), table.maker_side
        )
    late = _not_closed(rows, asked)
    rules = {
        "ts_present": rows["ts"].is_null(),
        SINCE: old,
        "not_a_number": unread,
        "bar_closed": late,
    }
    good, broken = _apart(rows, raw, rules, spoiled)
    notes = (f"ts {stamps.said}", said_symbol, said_exchange, said_interval)
    return Piece(good, broken, notes=tuple(note for note in notes if note))


def _stamp_in(stamp: Stamp, zone: str) -> Stamp:
    return Stamp(stamp.unit, stamp.pattern, zone, stamp.day_ns)


def _require(path: Path, raw: pl.DataFrame, table: Table, dataset: str) -> None:
    needed = {"ts": "ts"} | {name: name for name in NUMBERS[dataset]}
    missing = [name for name in needed if name not in table.columns]
    absent = [name for name in table.columns.values() if name not in raw.columns]
    if not missing and not absent:
        return
    lacks = f"says nothing of {', '.join(missing)}" if missing else f"lacks {', '.join(absent)}"
    raise UnknownLayout(
        path,
        f"{lacks}; found columns {', '.join(raw.columns[:10])}; "
        "name another --layout or describe it with --mapping FILE",
    )


def _column(raw: pl.DataFrame, table: Table, name: str) -> pl.Series | None:
    if name not in table.columns:
        return None
    return raw[table.columns[name]].cast(pl.String)


def _named(value: pl.Series | str, name: str) -> pl.Expr | pl.Series:
    return pl.lit(value).alias(name) if isinstance(value, str) else value.alias(name)


def _symbol(
    path: Path, raw: pl.DataFrame, table: Table, asked: Request
) -> tuple[pl.Series | str, str]:
    column = _column(raw, table, "symbol")
    if column is not None:
        known = mapping_of(column.unique().drop_nulls().to_list(), table.default_quote)
        if any(name != symbol for name, symbol in known.items()):
            column = column.replace_strict(known, default=None, return_dtype=pl.String)
    return decided(path, "symbol", asked.symbol, column, table.symbol)


def _some_are_read(
    path: Path, written: pl.Series, read: pl.Series, what: str, least: int = 2
) -> None:
    """Where every row of a column is unreadable, it is the layout that is wrong, not the rows.

    One number that cannot be read may be an accident (`least` is 2); without any stamp nothing
    could land (1).
    """
    if read.count() or written.count() < least:
        return
    first = written.drop_nulls()[0]
    raise UnknownLayout(
        path,
        f"column {written.name} holds no {what}, it starts with {first!r}; say its form in a "
        "--mapping FILE",
    )


def _numbers(
    path: Path, raw: pl.DataFrame, table: Table, dataset: str
) -> tuple[list[pl.Series], pl.Series | None]:
    """The numeric columns, and where a text was there that is no number."""
    columns, unread = [], None
    for name in NUMBERS[dataset]:
        written = raw[table.columns[name]]
        if isinstance(written.dtype, pl.Categorical | pl.Enum):
            written = written.cast(pl.String)
        if not (written.dtype.is_numeric() or written.dtype in (pl.String, pl.Null)):
            raise UnknownLayout(
                path,
                f"column {written.name} is {_kind(written.dtype)}; expected numbers or text; name "
                "another column in a --mapping FILE",
            )
        if written.dtype != pl.String:
            columns.append(written.cast(pl.Float64, strict=False).alias(name))
            continue
        text = written.str.strip_chars()
        if table.decimal == ",":
            text = text.to_frame().select(with_point(pl.col(text.name))).to_series()
        number = text.cast(pl.Float64, strict=False)
        columns.append(number.alias(name))
        _some_are_read(path, text.set(text == "", None), number, "numbers")
        bad = number.is_null() & (text != "").fill_null(value=False)
        if bad.any():
            unread = bad if unread is None else unread | bad
    return columns, unread


def _kind(kind: pl.DataType) -> str:
    """A type in one word or two, without the fields of a nested one."""
    return f"a {str(kind.base_type()).lower()}" if kind.is_nested() else f"of type {kind}"


def before_bitcoin(path: Path, column: str, ts: pl.Series) -> pl.Series | None:
    """Where a stamp is older than every market here, such as a 0 that stands for none.

    Where all are, it is the unit that is wrong, not the rows.
    """
    oldest, newest = ts.min(), ts.max()
    if isinstance(newest, int) and newest < GENESIS:
        raise UnknownLayout(
            path,
            f"{column} read as a time ends at {iso(newest)}, before any "
            "market here; say the unit or pattern in a --mapping FILE",
        )
    if not isinstance(oldest, int) or oldest >= GENESIS:
        return None
    return (ts < GENESIS).fill_null(value=False)


def _without(rows: pl.DataFrame, old: pl.Series | None) -> pl.DataFrame:
    return rows if old is None else rows.filter(~old)


def _interval(
    path: Path, raw: pl.DataFrame, rows: pl.DataFrame, table: Table, asked: Request
) -> tuple[pl.Series | str, str]:
    if asked.interval is None and "interval" in table.columns:
        return raw[table.columns["interval"]].cast(pl.String), ""
    stated = asked.interval or table.interval
    if rows.is_empty():
        return stated or "1d", ""
    step = most_common_step(rows)
    if stated is not None:
        far = _agreeing(path, stated, step)
        return stated, far if stated == asked.interval else f"interval {stated}{far and f', {far}'}"
    name = interval_of_step(step) if step is not None else None
    if name is None:
        found = "there is one bar only" if step is None else f"bars lie {_spoken(step)} apart"
        raise UnknownLayout(path, f"does not say its interval ({found}); add --interval, as in 1h")
    return name, f"interval {name} (the most common step)"


def _agreeing(path: Path, stated: str, step: int | None) -> str:
    """What is odd about bars said to be `stated` long that are mostly `step` apart, in words.

    Bars that would overlap are an error; an hour less than a day or more is summer time's.
    """
    length = interval_ns(stated)
    if step is None or interval_of_step(step) == stated or step == length:
        return ""
    if step < length - (HOUR if length >= DAY else 0):
        name = interval_of_step(step)
        advice = f"say --interval {name}" if name else "say which with --interval"
        raise UnknownLayout(
            path,
            f"is said to hold bars of {stated}, but its bars step by {_spoken(step)}; {advice}",
        )
    return f"its bars mostly step by {_spoken(step)}, not by {stated}" if step > length else ""


def _spoken(step_ns: int) -> str:
    return interval_of_step(step_ns) or f"{step_ns / SECOND:g} s"


def _not_closed(rows: pl.DataFrame, asked: Request) -> pl.Series | None:
    """Where a bar ends after now: it is still being made."""
    newest = rows["ts"].max()
    if asked.dataset != "ohlcv" or not isinstance(newest, int) or newest + YEAR <= asked.now_ns:
        return None
    late = pl.lit(value=False)
    for interval in rows["interval"].unique().drop_nulls().to_list():
        late = late | ((pl.col("interval") == interval) & _ends_after(asked.now_ns, interval))
    return rows.select(late.fill_null(value=False).alias("late"), "ts")["late"]


def _ends_after(now_ns: int, interval: str) -> pl.Expr:
    """Whether a bar is open at `now_ns`; null for what is no interval, which the lake's rules name.

    Most is asked of the opening: the end of a bar of the year 2262 may lie beyond 64 bits.
    """
    opened = pl.col("ts")
    if interval == "1M":
        closes = pl.from_epoch(opened, "ns").dt.offset_by("1mo").dt.epoch("ns")
        return (opened > now_ns) | (closes > now_ns)
    try:
        return opened > now_ns - interval_ns(interval)
    except UsageError:
        return pl.lit(None, pl.Boolean)


def _apart(
    rows: pl.DataFrame,
    raw: pl.DataFrame,
    rules: Mapping[str, pl.Series | None],
    spoiled: pl.Series | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Readable rows, and the unreadable ones as they were written, with the rules they broke."""
    broken = pl.DataFrame(schema=BROKEN)
    found = {name: bad for name, bad in rules.items() if bad is not None and bad.any()}
    if found:
        marks = pl.DataFrame([bad.alias(name) for name, bad in found.items()])
        bad = marks.select(pl.any_horizontal(pl.all())).to_series()
        names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in found]
        who = [name for name in ("ts", "symbol", "exchange", "interval") if name in rows.columns]
        broken = pl.concat(
            [
                broken,
                rows.filter(bad)
                .select(who)
                .with_columns(
                    marks.filter(bad)
                    .select(pl.concat_list(names).list.drop_nulls())
                    .to_series()
                    .alias("broken"),
                    as_written(raw.filter(bad)),
                ),
            ],
            how="diagonal",
        )
        rows = rows.filter(~bad)
    if spoiled is not None and len(spoiled):
        lines = pl.DataFrame({"row": spoiled}).with_columns(
            broken=pl.lit(["field_count"], pl.List(pl.String)),
            symbol=_only(rows, "symbol"),
            exchange=_only(rows, "exchange"),
        )
        broken = pl.concat([broken, lines], how="diagonal")
    return rows, broken


def _only(rows: pl.DataFrame, name: str) -> pl.Expr:
    """The one value of a column, for rows that could not say their own."""
    values = rows[name].unique().to_list()
    return pl.lit(values[0] if len(values) == 1 else None, pl.String)
