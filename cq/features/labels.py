"""What a model is to learn: how it went on after a bar. Labels look ahead, features never do.

They are of no use to a strategy's signals: the pipeline of features refuses their names. Each comes
with `label_end_ts`, the instant from which it is known, so that a training can leave out what it
could not have known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.errors import UsageError
from cq.indicators import in_time_order
from cq.indicators.arguments import check, kinds_of
from cq.indicators.arrays import Array, batch
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
    won = batch(_touched_above_first, [CLOSE, pl.col("high"), pl.col("low")], horizon, up, down)
    return pl.when(CLOSE.shift(-horizon).is_not_null()).then(won.cast(pl.Int8))


def _touched_above_first(
    arrays: Sequence[Array], horizon: int, up: float, down: float
) -> npt.NDArray[np.float64]:
    """1 for each bar after which `up` is reached before `down`, within `horizon` bars, else 0."""
    close, high, low = arrays
    best, worst = close * (1 + up), close * (1 - down)
    won, left = np.zeros(close.size), np.arange(close.size)
    for bars in range(1, horizon + 1):
        left = left[: np.searchsorted(left, close.size - bars)]
        if not left.size:
            break
        above, below = high[left + bars] >= best[left], low[left + bars] <= worst[left]
        won[left[above & ~below]] = 1.0
        left = left[~(above | below)]
    return won


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
    for name, most in (("up", math.inf), ("down", 1.0)):
        if not 0 < (value := parameters.get(name, 0.5)) < most:
            within = "above 0" if most == math.inf else "between 0 and 1"
            raise UsageError(f"label {use}: {name} is {value!r}; expected a fraction {within}")


def with_label(bars: pl.LazyFrame, interval: str, use: str, **parameters: Any) -> pl.LazyFrame:
    """`bars` with `label` and `label_end_ts`: the close of the bar `horizon` bars later."""
    check_label(use, parameters)
    made, horizon = LABELS[use](**parameters), {**label_parameters(use), **parameters}["horizon"]
    end = pl.col("ts").shift(-horizon) + interval_ns(interval)
    return bars.with_columns(label=in_time_order(made), label_end_ts=in_time_order(end))
