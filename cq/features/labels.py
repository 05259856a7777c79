"""What a model is to learn: how it went on after a bar. Labels look ahead, features never do.

They are of no use to a strategy's signals: the pipeline of features refuses their names. Each comes
with `label_end_ts`, the instant from which it is known, so that a training can leave out what it
could not have known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final

import polars as pl

from cq.errors import UsageError
from cq.indicators import in_time_order
from cq.indicators.arguments import check, kinds_of
from cq.indicators.registry import whole
from cq.utils.names import among
from cq.utils.time import interval_ns

Label = Callable[..., pl.Expr]
CLOSE: Final = pl.col("close")


def direction(horizon: int = 24, above: float = 0.0) -> pl.Expr:
    """1 where the close `horizon` bars later is higher by more than the fraction `above`, else 0.

    Null for the last `horizon` bars.
    """
    later = CLOSE.shift(-horizon) / CLOSE - 1
    return pl.when(later.is_not_null()).then((later > above).cast(pl.Int8))


def triple_barrier(horizon: int = 24, up: float = 0.02, down: float = 0.02) -> pl.Expr:
    """1 where a later high reaches `up` above the close before a low is `down` below it, else 0.

    0 too where neither is reached within `horizon` bars, or both in one bar. Null for the last
    `horizon` bars. López de Prado (2018), "Advances in Financial Machine Learning".
    """
    best, worst = CLOSE * (1 + up), CLOSE * (1 - down)
    won = pl.lit(None, pl.Int8)
    for bars in range(horizon, 0, -1):  # the nearest bar decides last
        high, low = pl.col("high").shift(-bars), pl.col("low").shift(-bars)
        won = pl.when(low <= worst).then(0).when(high >= best).then(1).otherwise(won)
    return pl.when(CLOSE.shift(-horizon).is_not_null()).then(won.fill_null(0).cast(pl.Int8))


LABELS: Final[dict[str, Label]] = {"direction": direction, "triple_barrier": triple_barrier}


def label_parameters(use: str) -> dict[str, Any]:
    """The parameters of a label, with their defaults."""
    return {name: one.default for name, one in signature(LABELS[use]).parameters.items()}


def check_label(use: str, parameters: Mapping[str, Any]) -> None:
    """UsageError where there is no such label, or it takes no such parameter or value."""
    if use not in LABELS:
        raise UsageError(f"no label {use!r}; there is {', '.join(LABELS)}")
    kinds, there = kinds_of(LABELS[use]), label_parameters(use)
    for name, value in parameters.items():
        if name not in there:
            raise UsageError(f"label {use}: no parameter {name!r}; {among(name, sorted(there))}")
        check(f"label {use}: {name}", value, kinds[name])
    whole(parameters.get("horizon", 1), f"label {use}: horizon")


def with_label(bars: pl.LazyFrame, interval: str, use: str, **parameters: Any) -> pl.LazyFrame:
    """`bars` with `label` and `label_end_ts`: the close of the bar `horizon` bars later."""
    check_label(use, parameters)
    made, horizon = LABELS[use](**parameters), {**label_parameters(use), **parameters}["horizon"]
    end = pl.col("ts").shift(-horizon) + interval_ns(interval)
    return bars.with_columns(label=in_time_order(made), label_end_ts=in_time_order(end))
