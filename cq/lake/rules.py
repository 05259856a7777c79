"""Data rules as named expressions; a row that breaks one is kept apart with the rule's name."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from cq.utils.time import parse_time

Rules = Mapping[str, pl.Expr]

OPEN, HIGH, LOW, CLOSE, VOLUME = (
    pl.col(name) for name in ("open", "high", "low", "close", "volume")
)
PRICES = (OPEN, HIGH, LOW, CLOSE)
SYMBOL = r"^[A-Z0-9]{1,40}-[A-Z0-9]{1,23}$"
"""Of 64 characters at most, as an exchange: what is longer cannot be the name of a folder."""
INTERVAL = r"^([1-9][0-9]{0,3}[mhd]|[1-9][0-9]{0,2}w|1M)$"
PLAIN_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$"
NOBODY = "none"
"""The folders that are called so hold nobody's rows, and are not read."""
BEGIN, END = 0, parse_time("2200-01-01")
"""Between them lies every moment of a row. What closes bars and days adds to it, at most the 27
years of an interval, and int64 ends in 2262; no market of this field is older than 1970."""
STATUSES = ("new", "open", "partial", "filled", "canceled", "rejected", "unknown")

CONFLICT = "same_key_other_values"
REPLACED = "replaced"
"""Not a fault of the row, but why it is not where it was: another took its place."""


def positive(*values: pl.Expr) -> pl.Expr:
    """Every value above zero."""
    return pl.all_horizontal(value > 0 for value in values)


def finite(*values: pl.Expr) -> pl.Expr:
    """Every value an ordinary number: no NaN, no infinity."""
    return pl.all_horizontal(value.is_finite() for value in values)


def each(levels: str, holds: pl.Expr) -> pl.Expr:
    """`holds` is true for each element of the list column `levels`."""
    return pl.col(levels).list.eval(holds).list.all()


def best(levels: str) -> pl.Expr:
    """The first price of a book side; null where the side is empty."""
    return pl.col(levels).list.first().struct.field("price")


def between(*moments: str) -> pl.Expr:
    """Every moment of these columns in the years that views can add to; one that is absent, too."""
    inside = [pl.col(name).is_between(BEGIN, END, closed="left") for name in moments]
    return pl.all_horizontal(inside).fill_null(value=True)


LEVEL_PRICE = pl.element().struct.field("price")
LEVEL_SIZE = pl.element().struct.field("size")

WHO: dict[str, pl.Expr] = {
    "ts_present": pl.col("ts").is_not_null(),
    "ts_from_1970_to_2199": between("ts"),
    "symbol_form": pl.col("symbol").str.contains(SYMBOL),
    "exchange_form": pl.col("exchange").str.contains(PLAIN_NAME) & (pl.col("exchange") != NOBODY),
}

OHLCV_RULES: dict[str, pl.Expr] = {
    **WHO,
    "interval_form": pl.col("interval").str.contains(INTERVAL),
    "prices_positive": positive(*PRICES),
    "prices_finite": finite(*PRICES),
    "high_is_highest": pl.max_horizontal(OPEN, LOW, CLOSE) <= HIGH,
    "low_is_lowest": pl.min_horizontal(OPEN, HIGH, CLOSE) >= LOW,
    "volume_not_negative": (VOLUME >= 0) & finite(VOLUME),
}

TRADE_RULES: dict[str, pl.Expr] = {
    **WHO,
    "trade_id_present": pl.col("trade_id").is_not_null(),
    "price_positive": positive(pl.col("price")) & finite(pl.col("price")),
    "size_positive": positive(pl.col("size")) & finite(pl.col("size")),
    "side_known": pl.col("side").is_null() | pl.col("side").is_in(["buy", "sell"]),
}

BOOK_RULES: dict[str, pl.Expr] = {
    **WHO,
    "best_bid_below_best_ask": (pl.col("bids").list.len() == 0)
    | (pl.col("asks").list.len() == 0)
    | (best("bids") < best("asks")),
    "bids_descending": each("bids", LEVEL_PRICE.diff().drop_nulls() < 0),
    "asks_ascending": each("asks", LEVEL_PRICE.diff().drop_nulls() > 0),
    "sizes_positive": each("bids", (LEVEL_SIZE > 0) & LEVEL_SIZE.is_finite())
    & each("asks", (LEVEL_SIZE > 0) & LEVEL_SIZE.is_finite()),
    "prices_positive": each("bids", (LEVEL_PRICE > 0) & LEVEL_PRICE.is_finite())
    & each("asks", (LEVEL_PRICE > 0) & LEVEL_PRICE.is_finite()),
}

ORDER_RULES: dict[str, pl.Expr] = {
    **WHO,
    "client_id_present": pl.col("client_id").is_not_null(),
    "side_known": pl.col("side").is_in(["buy", "sell"]),
    "size_positive": positive(pl.col("size")) & finite(pl.col("size")),
    "status_known": pl.col("status").is_in(list(STATUSES)),
}

FILL_RULES: dict[str, pl.Expr] = {
    **WHO,
    "fill_id_present": pl.col("fill_id").is_not_null(),
    "side_known": pl.col("side").is_in(["buy", "sell"]),
    "price_positive": positive(pl.col("price")) & finite(pl.col("price")),
    "size_positive": positive(pl.col("size")) & finite(pl.col("size")),
}

COVERAGE_RULES: dict[str, pl.Expr] = {
    **{name: rule for name, rule in WHO.items() if not name.startswith("ts_")},
    "range_in_order": pl.col("start_ts") < pl.col("end_ts"),
    "range_from_1970_to_2199": between("start_ts", "end_ts"),
    "rows_counted": pl.col("rows") >= 0,
    "asked_ts_present": pl.col("asked_ts").is_not_null(),
}

LOST_RULES: dict[str, pl.Expr] = {
    "range_in_order": pl.col("start_ts") < pl.col("end_ts"),
    "range_from_1970_to_2199": between("start_ts", "end_ts"),
    "file_present": pl.col("file").is_not_null(),
    "lost_ts_present": pl.col("lost_ts").is_not_null(),
}

REJECTED_RULES: dict[str, pl.Expr] = {"row_present": pl.col("row").is_not_null()}


def keeps(rows: pl.DataFrame, rules: Rules) -> pl.Series:
    """True for each row that keeps every rule; an undecided rule (a null) counts as broken."""
    return rows.select(
        pl.all_horizontal(rule.fill_null(value=False) for rule in rules.values()).alias("keeps")
    ).to_series()


def broken(rows: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """`rows` with a column `broken`: the names of the rules that each row breaks."""
    names = [
        pl.when(rule.fill_null(value=False)).then(None).otherwise(pl.lit(name))
        for name, rule in rules.items()
    ]
    return rows.with_columns(broken=pl.concat_list(names).list.drop_nulls())


def check(rows: pl.DataFrame, rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split `rows` into those that keep every rule, and the others with a column `broken`."""
    fine = keeps(rows, rules)
    return rows.filter(fine), broken(rows.filter(~fine), rules)
