"""`cq.backtest(…)`: a lake or a frame in, a result out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl

from cq.backtest.bars import ALL, Part, Period, needed, parts_of, read_by
from cq.backtest.result import BacktestResult
from cq.backtest.single import run, traded
from cq.errors import DataError, UsageError
from cq.lake import Lake
from cq.lake.evidence import blocks_of
from cq.lake.fingerprint import Fingerprint, Owner
from cq.strategies import Strategy, StrategyConfig, load
from cq.utils.config import defaults
from cq.utils.resources import resource_root
from cq.utils.settings import Backtest
from cq.utils.time import DAY, HOUR, MINUTE, parse_time

UNITS: Final = {DAY: "d", HOUR: "h", MINUTE: "m"}


class Targets(StrategyConfig):
    """A frame that says its own targets."""

    symbols: tuple[str, ...] = ("ALL",)
    warmup: ClassVar[int] = 1


class ActingTargets(Targets):
    """A frame that also says where they are acted on although they stayed."""

    acts: ClassVar[bool] = True


def backtest(
    source: Lake | pl.LazyFrame | pl.DataFrame,
    strategy: Strategy | StrategyConfig | str | Path | None = None,
    *,
    start: str | int | None = None,
    end: str | int | None = None,
    quote: str = "BRL",
    interval: str | None = None,
    orders: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> BacktestResult:
    """Trade over the bars of `source` that open in [start, end).

    With a lake, `strategy` is one, or the path of its file. A frame of bars (ts, symbol, open,
    close; high, low and volume where the rules look at them) is traded by a strategy, or has a
    column `target` of its own: a fraction of equity, null for no decision. `orders` are then those
    of a strategy's file. Other keywords are settings of `backtest:`, such as `cash=5_000` or
    `fees={"taker": 0.001}`; what is not said is as in the shipped configs/default.yaml.
    """
    if isinstance(strategy, (str, Path)):
        strategy = load(strategy)
    said = settings_of(settings)
    if isinstance(source, Lake):
        if not isinstance(strategy, Strategy):
            raise UsageError("a lake needs a strategy: give one, or the path of its file")
        return run(source, strategy, said, start, end, quote=quote, say=say)
    bars = source.lazy().collect()
    if not isinstance(strategy, Strategy):
        strategy = _of_targets(bars, interval, orders or {})
    period = Period(*(parse_time(one) if isinstance(one, str) else one for one in (start, end)))
    return traded(Given(bars, strategy, said, period, say))


class Given:
    """Bars that were handed over in a frame, as `Reading` has those of a lake."""

    lake: Lake | None = None
    quote = ""

    def __init__(
        self,
        bars: pl.DataFrame,
        strategy: Strategy,
        settings: Backtest,
        period: Period,
        say: Callable[[str], None],
    ) -> None:
        self.settings = strategy.backtest(settings)
        columns = ["ts", "symbol", *needed(strategy, self.settings)]
        if missing := [one for one in columns if one not in bars.columns and one[:6] != "order_"]:
            raise DataError(
                f"the frame lacks {', '.join(missing)}; it has {', '.join(bars.columns)}"
            )
        if bars.is_empty():
            raise DataError("the frame holds no bars")
        if period.end is not None:
            bars = bars.filter(pl.col("ts") < period.end)
        names = bars["symbol"]
        one = bars.height > 0 and bool((names == names[0]).all())
        self.symbols = (names[0],) if one else tuple(sorted(names.unique()))
        if len(self.symbols) > 1 or not bars["ts"].is_sorted():
            bars = bars.sort("symbol", "ts")
        self.bars, self.strategy, self.period, self.say = bars.lazy(), strategy, period, say

    def parts(self) -> list[Part]:
        """The rows of each symbol with their targets."""
        there = self.bars.collect_schema().names()
        columns = [name for name in read_by(self.strategy) if name in there]
        columns += needed(self.strategy, self.settings)
        try:
            return parts_of(self.bars, self.symbols, self.strategy, columns)
        except pl.exceptions.ColumnNotFoundError as error:
            asked = re.search(r'"(\w+)"', str(error))
            lacks = asked[1] if asked else str(error).partition("\n")[0]
            raise DataError(
                f"{self.strategy.name} needs {lacks}; the frame has {', '.join(there)}"
            ) from None

    def fingerprint(self, parts: list[Part]) -> Fingerprint:
        """Digests of the rows."""
        columns = tuple(name for name in ALL if name in parts[0].rows.columns)
        interval = self.strategy.config.interval
        blocks = {
            Owner(None, one.symbol, interval): blocks_of(one.rows, columns, "month")
            for one in parts
        }
        return Fingerprint("frame", {}, columns, "month", blocks)


def settings_of(settings: dict[str, Any]) -> Backtest:
    """The shipped settings with what a caller says otherwise; UsageError where it errs."""
    merged = defaults(resource_root()).backtest.model_dump()
    for key, value in settings.items():
        if key not in merged:
            raise UsageError(f"no setting {key!r}; there is {', '.join(merged)}")
        inner = merged[key]
        merged[key] = {**inner, **value} if isinstance(inner, dict) else value
    try:
        return Backtest.model_validate(merged)
    except ValueError as error:
        raise UsageError(" ".join(str(error).split())) from None


def _of_targets(bars: pl.DataFrame, interval: str | None, orders: dict[str, Any]) -> Strategy:
    if "target" not in bars.columns:
        raise UsageError("the frame has no column `target`; add one, or give a strategy")
    kind = ActingTargets if "act" in bars.columns else Targets
    config = kind(name="targets", interval=interval or _interval(bars), orders=orders)
    signal = pl.col("target").sign().cast(pl.Int8)
    return Strategy(
        config, lambda frame, _: frame.with_columns(signal=signal), lambda frame, _: frame
    )


def _interval(bars: pl.DataFrame) -> str:
    """The shortest step between two bars of a symbol."""
    steps = bars.sort("symbol", "ts").select(pl.col("ts").diff().over("symbol")).to_series()
    shortest = steps.filter(steps > 0).min()
    if isinstance(shortest, int):
        for length, unit in UNITS.items():
            if shortest % length == 0:
                return f"{shortest // length}{unit}"
    raise UsageError("cannot tell the length of a bar; say it, as in interval='1h'")
