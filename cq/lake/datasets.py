"""What each dataset is: its columns, its key and the rules that its rows keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from cq.errors import DataError, UsageError
from cq.lake import rules as r

LEVELS = pl.List(pl.Struct({"price": pl.Float64, "size": pl.Float64}))


@dataclass(frozen=True)
class Dataset:
    """A contract: rows of `schema`, one for each `key`, each keeping `rules`.

    `owner` are the columns that have one value throughout a file. `first_wins` says that a second
    row of the same key is the same fact again, whatever else it holds. `free_form` says that an
    owner may be any text or none, so that a folder's name only resembles it.
    """

    name: str
    schema: Mapping[str, pl.DataType]
    key: tuple[str, ...]
    rules: r.Rules
    owner: tuple[str, ...] = ("exchange", "symbol")
    time: str = "ts"
    nullable: frozenset[str] = field(default_factory=frozenset)
    first_wins: bool = False
    free_form: bool = False

    @cached_property
    def own_key(self) -> tuple[str, ...]:
        """The part of the key that differs inside a file."""
        return tuple(name for name in self.key if name not in self.owner)

    @cached_property
    def required(self) -> frozenset[str]:
        """The numbers that no row lacks."""
        numbers = {name for name, kind in self.schema.items() if kind.is_numeric()}
        return frozenset(numbers - self.nullable)

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` with the columns and types of the contract; a value that does not fit is null.

        Absent columns that may be null are added; any other absent or extra column is an error.
        """
        missing = [n for n in self.schema if n not in rows.columns and n not in self.nullable]
        extra = [name for name in rows.columns if name not in self.schema]
        if missing or extra:
            found = [f"lacks {', '.join(missing)}"] if missing else []
            found += [f"has the unknown {', '.join(extra)}"] if extra else []
            raise DataError(
                f"this {self.name} {' and '.join(found)}; expected {', '.join(self.schema)}"
            )
        moments = [n for n, kind in self.schema.items() if n.endswith("ts") and kind == pl.Int64]
        for name in set(moments) & set(rows.columns):
            if not (rows.schema[name].is_integer() or rows.schema[name] == pl.Null):
                raise DataError(
                    f"{self.name}.{name} is {rows.schema[name]}; expected int64 nanoseconds, UTC"
                )
        return rows.select(
            pl.col(name).cast(kind, strict=False)
            if name in rows.columns
            else pl.lit(None, kind).alias(name)
            for name, kind in self.schema.items()
        )

    def empty(self) -> pl.DataFrame:
        """No rows, rightly typed."""
        return pl.DataFrame(schema=self.schema)


def _columns(**kinds: pl.DataType | type[pl.DataType]) -> dict[str, pl.DataType]:
    return {name: kind() if isinstance(kind, type) else kind for name, kind in kinds.items()}


_ORDER = _columns(
    ts=pl.Int64, order_id=pl.String, client_id=pl.String, side=pl.String, type=pl.String,
    price=pl.Float64, size=pl.Float64, status=pl.String, fee=pl.Float64,
    symbol=pl.String, exchange=pl.String,
)  # fmt: skip

OHLCV = Dataset(
    "ohlcv",
    _columns(
        ts=pl.Int64, open=pl.Float64, high=pl.Float64, low=pl.Float64, close=pl.Float64,
        volume=pl.Float64, symbol=pl.String, exchange=pl.String, interval=pl.String,
    ),
    key=("exchange", "symbol", "interval", "ts"),
    owner=("exchange", "symbol", "interval"),
    rules=r.OHLCV_RULES,
)  # fmt: skip

TRADES = Dataset(
    "trades",
    _columns(
        ts=pl.Int64, price=pl.Float64, size=pl.Float64, side=pl.String, trade_id=pl.String,
        symbol=pl.String, exchange=pl.String,
    ),
    key=("exchange", "symbol", "trade_id"),
    rules=r.TRADE_RULES,
    nullable=frozenset({"side"}),
)  # fmt: skip

ORDERBOOK_L2 = Dataset(
    "orderbook_l2",
    _columns(ts=pl.Int64, bids=LEVELS, asks=LEVELS, symbol=pl.String, exchange=pl.String),
    key=("exchange", "symbol", "ts"),
    rules=r.BOOK_RULES,
)

ORDERS = Dataset(
    "orders",
    _ORDER,
    key=("exchange", "symbol", "client_id"),
    rules=r.ORDER_RULES,
    nullable=frozenset({"order_id", "price", "fee"}),
)

FILLS = Dataset(
    "fills",
    {**_ORDER, "fill_id": pl.String()},
    key=("exchange", "symbol", "fill_id"),
    rules=r.FILL_RULES,
    nullable=frozenset({"order_id", "client_id", "type", "status", "fee"}),
)

COVERAGE = Dataset(
    "coverage",
    _columns(
        dataset=pl.String, symbol=pl.String, exchange=pl.String, interval=pl.String,
        start_ts=pl.Int64, end_ts=pl.Int64, rows=pl.Int64, asked_ts=pl.Int64, source=pl.String,
    ),
    key=("dataset", "exchange", "symbol", "interval", "start_ts", "end_ts", "asked_ts"),
    rules=r.COVERAGE_RULES,
    time="start_ts",
    nullable=frozenset({"interval", "source"}),
    first_wins=True,
)  # fmt: skip

REJECTED = Dataset(
    "rejected",
    _columns(
        ts=pl.Int64, dataset=pl.String, symbol=pl.String, exchange=pl.String, interval=pl.String,
        broken=pl.List(pl.String), row=pl.String, source=pl.String, seen_ts=pl.Int64,
    ),
    key=("dataset", "exchange", "symbol", "interval", "row"),
    rules=r.REJECTED_RULES,
    time="seen_ts",
    nullable=frozenset({"ts", "symbol", "exchange", "interval", "source"}),
    first_wins=True,
    free_form=True,
)  # fmt: skip

LOST = Dataset(
    "lost",
    _columns(
        dataset=pl.String, symbol=pl.String, exchange=pl.String, interval=pl.String,
        start_ts=pl.Int64, end_ts=pl.Int64, rows=pl.Int64, file=pl.String, reason=pl.String,
        lost_ts=pl.Int64,
    ),
    key=("dataset", "exchange", "symbol", "interval", "file", "start_ts", "end_ts", "lost_ts"),
    rules=r.LOST_RULES,
    time="start_ts",
    nullable=frozenset({"symbol", "exchange", "interval", "rows"}),
    first_wins=True,
    free_form=True,
)  # fmt: skip

DATASETS: dict[str, Dataset] = {
    one.name: one for one in (OHLCV, TRADES, ORDERBOOK_L2, ORDERS, FILLS, COVERAGE, REJECTED, LOST)
}


def dataset(name: str) -> Dataset:
    """The contract called `name`; UsageError names those there are."""
    if name not in DATASETS:
        raise UsageError(f"{name!r} is not a dataset; there is {', '.join(DATASETS)}")
    return DATASETS[name]
