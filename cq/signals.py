"""The one path from bars to targets, for backtest and live alike."""

from __future__ import annotations

from traceback import extract_tb
from typing import Literal

import polars as pl

from cq.errors import DataError, StrategyError
from cq.strategies import Strategy


def with_targets(bars: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """`bars` with features, `signal` (−1, 0, 1) and `target` (fraction of equity, null until warm).

    Rows stay as they are, in their order. A target below 0 is a short position, for research only:
    wherever shorts are not allowed it counts as 0. Columns `order_…` hold the prices of orders,
    `act` (of strategies that have it) where a target is acted on although it stayed. The average
    true ranges of `orders:` are part of the warm-up.
    """
    signals = ungated(bars, strategy)
    if strategy.config.gate is not None:
        signals = _gated(signals, strategy)
    sized = _called(strategy.size_positions, "size_positions", signals, strategy)
    if strategy.code is not None or strategy.config.orders.asked:
        _check_columns(sized, strategy)
    if acting(sized, strategy):
        said = pl.col("act").cast(pl.Float64).fill_nan(None)
        sized = sized.with_columns(act=said.cast(pl.Boolean).fill_null(False))
    orders = strategy.config.orders
    made = sized.with_columns(
        signal=pl.col("signal").cast(pl.Int8),
        target=pl.col("target").cast(pl.Float64),
        **{name: one.cast(pl.Float64) for name, one in orders.columns().items()},
    )
    if not orders.ranges:
        return made
    return _once_there(made, orders.ranges, together=strategy.config.together)


def _once_there(made: pl.LazyFrame, ranges: tuple[str, ...], *, together: bool) -> pl.LazyFrame:
    """Nothing is decided before the `ranges` that its orders need are known; of legs that are
    traded together, those of all that have a bar."""
    there = pl.all_horizontal(pl.col(one).is_not_null() for one in ranges)
    if together:
        there = (there | pl.col("target").is_null()).min().over("ts")
    return made.with_columns(
        signal=pl.when(there).then("signal"), target=pl.when(there).then("target")
    )


def acting(frame: pl.LazyFrame, strategy: Strategy) -> bool:
    """Whether `frame` says where a target is acted on although it stayed: in a column `act`."""
    own = strategy.code is not None
    return strategy.config.acts or (own and "act" in frame.collect_schema().names())


def ungated(bars: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """`bars` with features and the strategy's own `signal`, before any gate."""
    if strategy.config.features:
        bars = strategy.config.pipeline.apply(bars)
    signals = _called(strategy.generate_signals, "generate_signals", bars, strategy)
    if strategy.code is not None:
        signals = signals.with_columns(signal=_one_of_three(pl.col("signal")))
    config = strategy.config
    if config.liquidity is not None:
        signals = config.liquidity.filtered(signals, together=config.together)
    return signals


def _gated(signals: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """`signal` as the gate lets it through; what it was before stands in `signal_before_gate`."""
    gate = strategy.gate
    if gate is None:
        raise StrategyError(
            strategy.name, "has a gate that is not trained; run `cq backtest` first"
        )
    signals = signals.with_columns(
        pl.col("signal").cast(pl.Int8), signal_before_gate=pl.col("signal").cast(pl.Int8)
    )

    def through(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(gate.through(rows))

    return signals.map_batches(
        through,
        schema=signals.collect_schema(),
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
    )


def collected(
    plan: pl.LazyFrame, strategy: Strategy, engine: Literal["auto", "in-memory"] = "auto"
) -> pl.DataFrame:
    """The rows of a plan made of `targets`; what fails in it is said in a line."""
    try:
        return plan.collect(engine=engine)
    except (Exception, SystemExit) as error:
        said = _said(error)
        if strategy.code is None:
            if "conversion from" not in said:
                raise
            raise DataError(
                f"{strategy.name}: a price is too large to compute on (9.2e10 at most); find it "
                'with `cq lake sql "select symbol, max(high) from bars group by symbol"`'
            ) from error
        if "replace_strict" in said:
            said = "a signal is none of −1, 0, 1 and null"
        raise StrategyError(str(strategy.code), f"its frame cannot be computed: {said}") from error


def _one_of_three(signal: pl.Expr) -> pl.Expr:
    """−1, 0 or 1 as they are, null as null; anything else fails when computed."""
    allowed = {None: None, -1.0: -1, 0.0: 0, 1.0: 1}
    return signal.cast(pl.Float64).replace_strict(allowed, return_dtype=pl.Int8)


def _said(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return (
        text if isinstance(error, pl.exceptions.PolarsError) else f"{type(error).__name__}: {text}"
    )


def _line(error: BaseException, file: str) -> str:
    """Where in a file an error came from, as far as it came through there."""
    lines = [one.lineno for one in extract_tb(error.__traceback__) if one.filename == file]
    return f" in line {lines[-1]}" if lines else ""


def targets(bars: pl.LazyFrame, strategy: Strategy) -> pl.LazyFrame:
    """The bars' ts and symbol with close, signal and target (and `act`), in the bars' order."""
    frame = with_targets(bars, strategy)
    act = ["act"] if acting(frame, strategy) else []
    return frame.select("ts", "symbol", "close", "signal", "target", *act)


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
    except (Exception, SystemExit) as error:
        where = _line(error, str(strategy.code))
        raise StrategyError(str(strategy.code), f"{name} fails{where}: {_said(error)}") from error
    if not isinstance(result, pl.LazyFrame):
        raise StrategyError(
            str(strategy.code), f"{name} returned {type(result).__name__}, expected a LazyFrame"
        )
    return result


def _check_columns(sized: pl.LazyFrame, strategy: Strategy) -> None:
    """StrategyError where a user's own frame, or one whose columns orders name, lacks any."""
    own = strategy.code is not None
    try:
        columns = sized.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        if not own:
            raise
        said = _said(error)
        if 'column "signal"' in said:
            said = "generate_signals adds no column signal"
        raise StrategyError(str(strategy.code), f"builds no frame: {said}") from error
    missing = {"ts", "symbol", "close", "signal", "target"} - set(columns)
    if own and missing:
        raise StrategyError(
            str(strategy.code), f"its frame lacks {', '.join(sorted(missing))}; keep the bars' own"
        )
    if unnamed := [one for one in strategy.config.orders.asked if one not in columns]:
        raise StrategyError(
            str(strategy.code or strategy.name),
            f"`orders` takes prices of a column {unnamed[0]!r}, which its frame lacks; there is "
            f"{', '.join(columns)}",
        )
