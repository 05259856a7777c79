"""One backtest: from a lake and a strategy to a result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy.ma  # noqa: F401  # Polars asks it of every array: better while bars are being read
import polars as pl

from cq.backtest import data
from cq.backtest.account import Costs, Fill
from cq.backtest.bars import Background, Part, Period, Reading, description
from cq.backtest.code import code_version
from cq.backtest.engine import Rules, Simulation, buy_and_hold, simulate
from cq.backtest.hindsight import difference
from cq.backtest.metrics import metrics
from cq.backtest.result import BacktestResult
from cq.strategies import Strategy
from cq.utils.time import iso, parse_time

if TYPE_CHECKING:
    from cq.lake import Lake
    from cq.utils.settings import Backtest

TRADES = {
    "ts": pl.Int64,
    "symbol": pl.String,
    "side": pl.String,
    "qty": pl.Float64,
    "price": pl.Float64,
    "fee": pl.Float64,
    "slippage": pl.Float64,
}


def _silent(_: str) -> None:
    return None


def run(
    lake: Lake,
    strategy: Strategy,
    settings: Backtest,
    start: str | int | None = None,
    end: str | int | None = None,
    *,
    quote: str = "BRL",
    say: Callable[[str], None] = _silent,
) -> BacktestResult:
    """Trade `strategy` over the lake's bars that open in [start, end).

    `settings` are those of `backtest:`, below what the strategy's file says. A base alone in its
    symbols is traded against `quote`; what `say` is told are notes for the user.
    """
    period = Period(_ns(start), _ns(end))
    return traded(Reading(lake, strategy, settings, period, quote=quote, say=say))


def traded(asked: Reading) -> BacktestResult:
    """Trade what is being read."""
    parts = asked.parts()
    strategy, period = asked.strategy, asked.period
    taken = Background(
        lambda: data.fingerprint(
            asked.lake, parts, strategy.config.interval, strategy.config.exchange, period.start
        )
    )
    markets = data.markets_of(parts, strategy)
    for absent in sorted(set(asked.symbols) - {one.symbol for one in markets}):
        asked.say(f"{absent}: no bars {period}")
    rules = rules_of(strategy, asked.settings)
    first = period.start if period.start is not None else min(int(one.ts[0]) for one in markets)
    made = simulate(markets, rules, first)
    warnings = _warnings(asked.bars, parts, strategy)
    for warning in warnings:
        asked.say(f"warning: {warning}")
    config = configuration(asked)
    fingerprint = taken.result()
    config["data"] = description(parts, fingerprint)
    config["warnings"] = warnings
    if strategy.gate is not None:
        config["gate"] = [one.as_dict() for one in strategy.gate.models]
    return BacktestResult(
        name=strategy.name,
        symbols=tuple(one.symbol for one in markets),
        interval=rules.interval,
        trades=trades_frame(made.fills),
        equity=equity_frame(made),
        metrics=metrics(
            made.ts,
            made.equity,
            made.exposure,
            made.fills,
            cash=rules.cash,
            interval=rules.interval,
            held=float(buy_and_hold(markets, int(made.ts[0]), made.ts[-1:], rules.cash)[0]),
        ),
        config=config,
        data=fingerprint,
        markets=tuple(markets),
        gate=strategy.gate,
    )


def _warnings(bars: pl.LazyFrame, parts: Sequence[Part], strategy: Strategy) -> list[str]:
    """What makes the result of a user's own strategy doubtful; cq's own are held by its tests."""
    if strategy.code is None:
        return []
    found = []
    if doubt := difference(bars.collect(), parts, strategy):
        found.append(doubt)
    if any((part.rows["signal"] == -1).any() for part in parts):
        found.append(f"{strategy.code}: a signal of −1 holds nothing: spot markets know no shorts")
    return found


def rules_of(strategy: Strategy, settings: Backtest) -> Rules:
    """The engine's rules, from settings and from what the strategy says of its size."""
    return Rules(
        cash=settings.cash,
        costs=Costs.of(settings),
        interval=strategy.config.interval,
        fill=settings.fill,
        max_position=settings.max_position,
        band=strategy.rebalance,
    )


def trades_frame(fills: list[Fill]) -> pl.DataFrame:
    """Fills as rows, in the order in which they happened."""
    columns = {name: [getattr(one, name) for one in fills] for name in TRADES}
    return pl.DataFrame(columns, schema=TRADES)


def equity_frame(made: Simulation) -> pl.DataFrame:
    """The account at the close of every bar."""
    return pl.DataFrame(
        {"ts": made.ts, "equity": made.equity, "cash": made.cash, "exposure": made.exposure}
    )


def configuration(asked: Reading) -> dict[str, Any]:
    """Everything that the result follows from, apart from the data."""
    strategy, period = asked.strategy, asked.period
    made_by = code_version()
    if strategy.code is not None:
        made_by["python"] = hashlib.sha256(strategy.code.read_bytes()).hexdigest()
    return {
        "strategy": strategy.config.model_dump(mode="json", exclude={"backtest"}),
        "backtest": asked.settings.model_dump(mode="json"),
        "symbols": list(asked.symbols),
        "quote": asked.quote,
        "period": {
            "start": None if period.start is None else iso(period.start),
            "end": None if period.end is None else iso(period.end),
        },
        "code": made_by,
    }


def _ns(moment: str | int | None) -> int | None:
    return parse_time(moment) if isinstance(moment, str) else moment
