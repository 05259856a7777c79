"""A market each a column: the form in which returns meet their covariances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.errors import DataError, UsageError

Floats = npt.NDArray[np.float64]


def wide(bars: pl.LazyFrame | pl.DataFrame, values: str | pl.Expr = "close") -> pl.DataFrame:
    """`ts` and one column a symbol, oldest first; null where a symbol has no such bar.

    DataError where a symbol has two bars of one moment, such as those of two exchanges.
    """
    one = pl.col(values) if isinstance(values, str) else values
    rows = bars.lazy().select("ts", "symbol", value=one).collect()
    if (twice := rows.select("ts", "symbol").is_duplicated()).any():
        ts, symbol, _ = rows.filter(twice).sort("symbol", "ts").row(0)
        raise DataError(
            f"found two bars of {symbol} at {ts}; expected one a moment: take those of one exchange"
        )
    names = rows["symbol"].unique().sort().to_list()
    return rows.pivot("symbol", on_columns=names, index="ts", values="value").sort("ts")


def wide_returns(bars: pl.LazyFrame | pl.DataFrame, *, logarithmic: bool = True) -> pl.DataFrame:
    """Returns from close to close of bars of several symbols, each a column beside `ts`.

    Only moments at which every symbol has a bar count, so that each return spans the same time
    for all of them; the first moment has none and is left out.
    """
    closes = wide(bars).drop_nulls()
    ratio = pl.exclude("ts") / pl.exclude("ts").shift(1)
    return closes.select("ts", ratio.log() if logarithmic else ratio - 1).slice(1)


def matrix_of(returns: pl.DataFrame, *, least: int = 2) -> tuple[list[str], Floats]:
    """The names of a frame of returns (`ts` aside) and its complete rows as an array.

    DataError where fewer than `least` rows are complete or a value is not finite.
    """
    names = [name for name in returns.columns if name != "ts"]
    if not names:
        raise UsageError("a frame of returns needs a column a symbol; found none")
    values = returns.select(pl.col(names).cast(pl.Float64)).drop_nulls().to_numpy()
    if values.shape[0] < least:
        raise DataError(
            f"{values.shape[0]} rows have a return of each of {', '.join(names)}; "
            f"expected at least {least}; take a longer period or fewer symbols"
        )
    if not np.isfinite(values).all():
        raise DataError(f"a return of {', '.join(names)} is not a finite number")
    return names, np.ascontiguousarray(values)


def square(names: Sequence[str], matrix: Floats) -> pl.DataFrame:
    """A matrix as a frame: `symbol`, then one column a symbol."""
    columns: dict[str, Any] = {"symbol": list(names)}
    return pl.DataFrame(columns | {name: matrix[:, i] for i, name in enumerate(names)})


def unsquare(frame: pl.DataFrame) -> tuple[list[str], Floats]:
    """The names and the array of a frame that `square` made."""
    names = frame["symbol"].to_list()
    return names, frame.select(names).to_numpy()
