"""`cq.backtest(…)`: a lake or a frame in, a result out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, ValidationError

from cq.backtest.bars import Background, Period
from cq.backtest.decided import beside, decisions
from cq.backtest.frames import Ordered
from cq.backtest.given import Given, floats, interval_of, tidied
from cq.backtest.kept import flattened
from cq.backtest.result import BacktestResult
from cq.backtest.single import run, traded
from cq.errors import DataError, UsageError
from cq.lake import Lake
from cq.lake.lake import Moment
from cq.strategies import KINDS, Strategy, StrategyConfig, load, variants_of
from cq.strategies.problems import one_line
from cq.utils.config import defaults
from cq.utils.resources import resource_root
from cq.utils.trading_settings import Backtest


class Targets(StrategyConfig):
    """A frame that says its own targets."""

    symbols: tuple[str, ...] = ("ALL",)
    same_rows: ClassVar[bool] = True
    given: ClassVar[bool] = True
    warmup: ClassVar[int] = 1


class ActingTargets(Targets):
    """A frame that also says where they are acted on although they stayed."""

    acts: ClassVar[bool] = True


def backtest(
    source: Lake | pl.LazyFrame | pl.DataFrame,
    strategy: Strategy | StrategyConfig | str | Path | None = None,
    *,
    start: Moment = None,
    end: Moment = None,
    quote: str = "BRL",
    targets: pl.LazyFrame | pl.DataFrame | None = None,
    interval: str | None = None,
    orders: dict[str, Any] | None = None,
    strict: bool = False,
    say: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> BacktestResult:
    """Trade over the bars of `source` that open in [start, end).

    With a lake, `strategy` is one, or the path of its file. A frame of bars (ts, symbol, open,
    close; high, low and volume where the rules look at them) is traded by a strategy, or has a
    column `target` of its own: a fraction of equity, null for no decision. Where decisions are
    few, `targets` is a frame of them alone (ts, symbol, target), each at a bar of `source`.
    `orders` are then those of a strategy's file. With `strict` a lake's bars that break a rule are
    refused. Other keywords are settings of `backtest:`, such as `cash=5_000` or
    `fees={"taker": 0.001}`; they win over a strategy's file, and what neither says is as in the
    shipped configs/default.yaml.
    """
    if targets is not None and (strategy is not None or isinstance(source, Lake)):
        raise UsageError(
            "targets are traded over a frame of bars without a strategy; those of a lake are "
            "lake.bars(symbols, '1h')"
        )
    strategy = _strategy(strategy)
    if strategy is not None and not (orders is None and interval is None):
        raise UsageError(
            f"orders and interval are those of {strategy.name}: say them in its file, or beside it "
            "as in cq.strategies.load(path, ['orders.stop_loss=0.1'])"
        )
    said = settings_of(settings)
    if strategy is None:
        _refuse_unread(settings, said)
    else:
        strategy = told(strategy, settings)
    if isinstance(source, Lake):
        if strategy is None:
            raise UsageError("a lake needs a strategy: give one, or the path of its file")
        return run(source, strategy, said, start, end, quote=quote, strict=strict, say=say)
    if strict:
        raise UsageError("strict asks the checks of a lake, and a frame has none; leave it out")
    decided = None if targets is None else Background(lambda: decisions(targets))
    bars = tidied(source)
    against = quote if strategy is not None else ""
    if decided is not None:
        bars = beside(bars, decided.result())
    if strategy is not None:
        bars = bars.with_text()
    else:
        strategy = _of_targets(bars, interval, orders or {})
        bars = _numbers(bars, strategy)
    return traded(Given(bars, strategy, said, Period.of(start, end), say, against))


def _strategy(said: Strategy | StrategyConfig | str | Path | None) -> Strategy | None:
    """The strategy that was given, in whatever form."""
    if said is None or isinstance(said, Strategy):
        return said
    if isinstance(said, (str, Path)):
        return load(said)
    if isinstance(said, StrategyConfig) and (kind := KINDS.get(said.kind)):
        return Strategy(said, kind.generate_signals, kind.size_positions)
    raise UsageError(
        f"found {type(said).__name__}, expected the path of a strategy's file, or a "
        "cq.strategies.Strategy"
    )


def settings_of(settings: Mapping[str, Any]) -> Backtest:
    """The shipped settings with what a caller says otherwise; UsageError where it errs."""
    merged = dict(_shipped())
    for key, value in settings.items():
        if key not in merged:
            raise UsageError(f"no setting {key!r}; there is {', '.join(merged)}")
        inner, value = merged[key], _plain(value)
        both = isinstance(inner, dict) and isinstance(value, Mapping)
        merged[key] = {**inner, **value} if both else value
    try:
        return Backtest.model_validate(merged)
    except ValidationError as error:
        raise one_line(error, lambda _: "backtest", merged, Backtest) from None


def told(strategy: Strategy, settings: Mapping[str, Any]) -> Strategy:
    """The strategy with a caller's settings in the place of those that its file says otherwise."""
    if not strategy.config.backtest or not settings:
        _refuse_unread(settings, settings_of(settings))
        return strategy
    values = {f"backtest.{path}": value for path, value in _leaves(settings)}
    return variants_of(strategy, "cq.backtest(…)")(values)


def _refuse_unread(said: Mapping[str, Any], known: Backtest) -> None:
    """UsageError where a caller says of slippage what its kind does not look at."""
    slippage = _plain(said.get("slippage", {}))
    if unread := known.slippage.unread(slippage):
        raise UsageError(f"backtest.slippage.{unread[0]}: {unread[1]}")


def texts_of(settings: Mapping[str, Any]) -> list[str]:
    """A caller's settings as `KEY=VALUE`, as the command line has them."""
    return [f"{path}={json.dumps(value, default=str)}" for path, value in _leaves(settings)]


def _leaves(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        yield from flattened(_plain(value), key)


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


@cache
def _shipped() -> dict[str, Any]:
    return defaults(resource_root()).backtest.model_dump()


def _of_targets(bars: Ordered, interval: str | None, orders: dict[str, Any]) -> Strategy:
    rows = bars.rows
    if "target" not in rows.columns:
        raise UsageError("the frame has no column `target`; add one, or give a strategy")
    if rows["target"].null_count() == rows.height:
        raise DataError("the frame's `target` is null on every bar; expected fractions of equity")
    act = rows.schema.get("act")
    if not (act is None or act.is_numeric() or act in (pl.Boolean, pl.Null)):
        raise DataError(f"act is of type {act}; expected true or false")
    kind = Targets if act is None else ActingTargets
    said = {"name": "targets", "interval": interval or interval_of(bars), "orders": orders}
    try:
        config = kind.model_validate(said)
    except ValidationError as error:
        raise one_line(error, lambda _: "cq.backtest(…)", said, kind) from None
    signal = pl.col("target").sign().cast(pl.Int8)
    return Strategy(
        config, lambda frame, _: frame.with_columns(signal=signal), lambda frame, _: frame
    )


def _numbers(bars: Ordered, strategy: Strategy) -> Ordered:
    """`bars` with the prices that its orders name as floats."""
    rows = bars.rows
    names = [name for name in strategy.config.orders.asked if name in rows.columns]
    if not names:
        return bars
    return bars.with_rows(rows.with_columns(floats(rows[name]) for name in names))
