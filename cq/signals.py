"""The one path from bars to targets, for backtest and live alike."""

from __future__ import annotations

import polars as pl

from cq.errors import StrategyError
from cq.strategies import Strategy


def with_targets(bars: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """`bars` with `signal` (−1, 0, 1) and `target` (fraction of equity, null until warm).

    Rows stay as they are, in their order. A target below 0 is 0: spot markets know no shorts.
    """
    signals = _called(strategy.generate_signals, "generate_signals", bars, strategy)
    sized = _called(strategy.size_positions, "size_positions", signals, strategy)
    if strategy.code is not None:
        _check_columns(sized, strategy)
    return sized.with_columns(
        signal=pl.col("signal").cast(pl.Int8),
        target=pl.col("target").cast(pl.Float64).clip(lower_bound=0.0),
    )


def targets(bars: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """The bars' ts and symbol with close, signal and target, in the bars' order."""
    return with_targets(bars, strategy).select("ts", "symbol", "close", "signal", "target")


def latest(bars: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """The last row of `targets` for each symbol, by symbol.

    Over a window of `strategy.warmup` bars it equals the last row over all history.
    """
    newest = pl.col("ts") == pl.col("ts").max().over("symbol")
    return targets(bars, strategy).filter(newest).sort("symbol")


def _called(step: object, name: str, frame: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """One step of the strategy; what goes wrong in a user's own code is said with its file."""
    assert callable(step)
    if strategy.code is None:
        result: pl.LazyFrame = step(frame, strategy.config)
        return result
    try:
        result = step(frame, strategy.config)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise StrategyError(str(strategy.code), f"{name} fails: {said}") from error
    if not isinstance(result, pl.LazyFrame):
        raise StrategyError(
            str(strategy.code), f"{name} returned {type(result).__name__}, expected a LazyFrame"
        )
    return result


def _check_columns(sized: pl.LazyFrame, strategy: Strategy) -> None:
    try:
        columns = sized.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        said = str(error).partition("\n")[0]
        raise StrategyError(str(strategy.code), f"builds no frame: {said}") from error
    if missing := {"ts", "symbol", "close", "signal", "target"} - set(columns):
        raise StrategyError(
            str(strategy.code), f"its frame lacks {', '.join(sorted(missing))}; keep the bars' own"
        )
