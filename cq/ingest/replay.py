"""Order books out of messages: full images and differences, applied in their order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from cq.ingest.pieces import BROKEN, Piece, Request, as_written
from cq.ingest.stamps import GENESIS, SINCE
from cq.utils.names import counted

LEVELS = pl.List(pl.Struct({"price": pl.Float64, "size": pl.Float64}))
SIDES = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
MESSAGE: dict[str, pl.DataType] = {
    "ts": pl.Int64(),
    "symbol": pl.String(),
    "exchange": pl.String(),
    "is_snapshot": pl.Boolean(),
    "first_id": pl.Int64(),
    "last_id": pl.Int64(),
    **{side: pl.List(pl.Float64()) for side in SIDES},
}


@dataclass
class Side:
    """One side of a book; `sign` −1 makes the highest price come first."""

    sign: int
    keys: list[float] = field(default_factory=list)
    sizes: dict[float, float] = field(default_factory=dict)

    def apply(self, prices: Sequence[float], sizes: Sequence[float]) -> None:
        """Set or, with size 0, delete levels."""
        for price, size in zip(prices, sizes, strict=True):
            key = self.sign * price
            if size == 0:
                if self.sizes.pop(key, None) is not None:
                    del self.keys[bisect_left(self.keys, key)]
                continue
            if key not in self.sizes:
                insort(self.keys, key)
            self.sizes[key] = size

    def best(self, depth: int) -> tuple[list[float], list[float]]:
        """Prices and sizes of the best levels."""
        keys = self.keys[:depth]
        return [self.sign * key for key in keys], [self.sizes[key] for key in keys]


@dataclass
class Told:
    """What a replay left out, and why."""

    before: int = 0
    old: int = 0
    gaps: int = 0
    lost: int = 0

    def notes(self) -> tuple[str, ...]:
        """In words."""
        said = (
            (self.before, "difference", "differences", "before the first full book dropped"),
            (self.old, "difference", "differences", "that a full book holds already dropped"),
            (
                self.gaps,
                "gap",
                "gaps",
                "in the update ids: no book from there to the next full one",
            ),
            (self.lost, "difference", "differences", "lost to such gaps"),
        )
        return tuple(
            f"{counted(count, one, many)} {words}" for count, one, many, words in said if count
        )


def replay(messages: pl.DataFrame, depth: int) -> tuple[pl.DataFrame, Told]:
    """The book after each message of one market: ts, bids, asks, last_id; `depth` levels a side.

    Differences up to the last id of a full book are part of it already and are dropped; those that
    came before it but reach beyond it follow it. A gap in the ids means that something is missing:
    there is no book until the next full one.
    """
    if messages["is_snapshot"].all():
        return _full_books(messages, depth), Told()
    told, books = Told(), Builder()
    for ts, last_id, bids, asks in _books(messages, told):
        books.add(ts, last_id, bids.best(depth), asks.best(depth))
    return books.frame(), told


Message = dict[str, Any]


def _books(messages: pl.DataFrame, told: Told) -> Iterator[tuple[int, int | None, Side, Side]]:
    bids, asks, known = Side(-1), Side(1), None
    ready, ever = False, False
    waiting: list[Message] = []
    for message in messages.iter_rows(named=True):
        if not message["is_snapshot"] and not ready:
            waiting.append(message)
            continue
        batch = [message]
        if message["is_snapshot"]:
            bids, asks, known = Side(-1), Side(1), None
            follow = [one for one in waiting if _reaches_beyond(one, message["last_id"])]
            told.lost += (len(waiting) - len(follow)) * ever
            told.before += (len(waiting) - len(follow)) * (not ever)
            batch, waiting, ready, ever = [message, *follow], [], True, True
        for one in batch:
            first, last = one["first_id"], one["last_id"]
            if known is not None and last is not None and last <= known:
                told.old += 1
            elif known is not None and first is not None and first > known + 1:
                told.gaps, ready = told.gaps + 1, False
                waiting.append(one)
            elif ready:
                bids.apply(one["bid_prices"], one["bid_sizes"])
                asks.apply(one["ask_prices"], one["ask_sizes"])
                known = last if last is not None else known
                yield one["ts"], last, bids, asks
    told.lost += len(waiting) * ever
    told.before += len(waiting) * (not ever)


def _reaches_beyond(difference: Message, last_id: int | None) -> bool:
    return (
        last_id is not None
        and difference["last_id"] is not None
        and difference["last_id"] > last_id
    )


def _full_books(messages: pl.DataFrame, depth: int) -> pl.DataFrame:
    """Books that are full images each: nothing to replay."""
    numbered = messages.select("ts", "last_id", *SIDES).with_row_index("book")
    books = numbered.select("ts", "last_id", "book")
    for name, prices, sizes in (("bids", *SIDES[:2]), ("asks", *SIDES[2:])):
        levels = (
            numbered.select("book", price=prices, size=sizes)
            .explode("price", "size", empty_as_null=False)
            .sort("book", "price", descending=[False, name == "bids"], maintain_order=True)
            .group_by("book", maintain_order=True)
            .agg(pl.struct("price", "size").head(depth).alias(name))
        )
        books = books.join(levels, on="book", how="left", maintain_order="left")
    empty = pl.lit([], LEVELS)
    return books.select(
        "ts", pl.col("bids").fill_null(empty), pl.col("asks").fill_null(empty), "last_id"
    )


class Builder:
    """Books gathered as flat columns, made into lists of levels at the end."""

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.last_id: list[int | None] = []
        self.flat: dict[str, tuple[list[int], list[float], list[float]]] = {
            side: ([0], [], []) for side in ("bids", "asks")
        }

    def add(
        self,
        ts: int,
        last_id: int | None,
        bids: tuple[list[float], list[float]],
        asks: tuple[list[float], list[float]],
    ) -> None:
        """One more book."""
        self.ts.append(ts)
        self.last_id.append(last_id)
        for side, (prices, sizes) in (("bids", bids), ("asks", asks)):
            ends, all_prices, all_sizes = self.flat[side]
            all_prices.extend(prices)
            all_sizes.extend(sizes)
            ends.append(len(all_prices))

    def frame(self) -> pl.DataFrame:
        """All books."""
        import pyarrow as pa

        columns = {}
        for side, (ends, prices, sizes) in self.flat.items():
            levels = pa.StructArray.from_arrays(
                [pa.array(prices, pa.float64()), pa.array(sizes, pa.float64())], ["price", "size"]
            )
            lists = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), levels)
            columns[side] = pl.Series(side, pl.from_arrow(lists))
        return pl.DataFrame(
            {
                "ts": pl.Series(self.ts, dtype=pl.Int64),
                **columns,
                "last_id": pl.Series(self.last_id, dtype=pl.Int64),
            }
        )


def books_of(messages: pl.DataFrame, asked: Request, rows: int | None = None) -> Piece:
    """The books of all markets in `messages`, the last one of each stamp.

    Messages whose prices or sizes are no numbers, and those without a stamp or, among
    later ones, with one before 2009, are broken. `rows` is how many rows of a file made the
    messages, for the note.
    """
    messages = messages.select(*MESSAGE)
    if asked.at_ns is not None:
        messages = messages.with_columns(pl.col("ts").fill_null(asked.at_ns))
    unread = pl.any_horizontal(
        pl.col(side).list.eval(pl.element().is_null()).list.any() for side in SIDES
    )
    old = (pl.col("ts") < GENESIS) & (pl.col("ts").max() >= GENESIS)
    marks = messages.select(
        old.fill_null(value=False).alias(SINCE),
        not_a_number=unread.fill_null(value=True),
        ts_present=pl.col("ts").is_null(),
    )
    bad = marks.select(pl.any_horizontal(pl.all())).to_series()
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in marks.columns]
    broken = (
        messages.filter(bad)
        .select(
            "ts",
            "symbol",
            "exchange",
            marks.filter(bad)
            .select(pl.concat_list(names).list.drop_nulls())
            .to_series()
            .alias("broken"),
            as_written(messages.filter(bad)),
            interval=pl.lit(None, pl.String),
        )
        .select(*BROKEN)
    )
    frames, notes = [_no_books()], []
    for part in messages.filter(~bad).partition_by("exchange", "symbol", maintain_order=True):
        books, told = replay(part, asked.depth)
        final = books.unique("ts", keep="last", maintain_order=True)
        who = part.select("symbol", "exchange").row(0)
        frames.append(
            final.drop("last_id").with_columns(symbol=pl.lit(who[0]), exchange=pl.lit(who[1]))
        )
        notes += [f"{who[0]}: {note}" for note in told.notes()]
        if folded := len(books) - len(final):
            share = counted(folded, "book shares a stamp", "books share a stamp")
            notes.append(f"{who[0]}: {share} with a later one, which is kept")
    books = pl.concat(frames)
    return Piece(books, broken, notes=(*_steps(rows, messages.height, books.height), *notes))


def _steps(rows: int | None, messages: int, books: int) -> Iterator[str]:
    """How rows became messages and those books, which are what an import counts."""
    steps = [counted(rows, "row", "rows")] if rows is not None else []
    steps += [counted(messages, "message", "messages")] if messages != books else []
    if steps:
        yield " → ".join([*steps, counted(books, "book", "books")])


def _no_books() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "ts": pl.Int64,
            "bids": LEVELS,
            "asks": LEVELS,
            "symbol": pl.String,
            "exchange": pl.String,
        }
    )
