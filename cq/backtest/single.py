"""One backtest: from a lake and a strategy to a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy.ma  # noqa: F401  # Polars asks it of every array: better while bars are being read
import polars as pl

from cq.backtest import data
from cq.backtest.account import Costs
from cq.backtest.bars import Background, Period, Reading, extent
from cq.backtest.code import code_of, code_version
from cq.backtest.detail import with_detail
from cq.backtest.doubts import doubts
from cq.backtest.engine import Simulation, simulate
from cq.backtest.market import Level, Orders, Rules
from cq.backtest.measures import measured
from cq.backtest.profiles import as_in
from cq.backtest.result import BacktestResult
from cq.backtest.warnings import known_faults, missed, refuse_faults, spent, unheard
from cq.errors import DataError, UsageError
from cq.strategies import Strategy
from cq.utils.memory import keep_freed_memory
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.backtest.given import Given
    from cq.lake import Lake
    from cq.lake.lake import Moment
    from cq.strategies.orders import OrdersConfig
    from cq.utils.trading_settings import Backtest


def _silent(_: str) -> None:
    return None


def run(
    lake: Lake,
    strategy: Strategy,
    settings: Backtest,
    start: Moment = None,
    end: Moment = None,
    *,
    quote: str = "BRL",
    strict: bool = False,
    say: Callable[[str], None] = _silent,
) -> BacktestResult:
    """Trade `strategy` over the lake's bars that open in [start, end).

    `settings` are those of `backtest:`, below what the strategy's file says. A base alone in its
    symbols is traded against `quote`; what `say` is told are notes for the user. With `strict`
    bars that break a rule are refused.
    """
    period = Period.of(start, end)
    reading = Reading(lake, strategy, settings, period, quote=quote, say=say)
    if strict:
        refuse_faults(lake, reading.series, period)
    return traded(reading)


def traded(asked: Reading | Given) -> BacktestResult:
    """Trade what is being read."""
    keep_freed_memory()
    code_version()  # it is found out while the bars are being read
    parts = asked.parts()
    strategy, period = asked.strategy, asked.period
    taken = asked.fingerprint(parts)
    warnings = list(asked.left_out)
    if asked.lake is not None:
        warnings += known_faults(asked.lake, asked.series, period)
    markets = data.markets_of(parts, strategy, warnings.append)
    rules = rules_of(strategy, asked.settings)
    first = period.start if period.start is not None else min(int(one.ts[0]) for one in markets)
    absent = sorted(set(asked.symbols) - {one.symbol for one in markets if one.ts[-1] >= first})
    warnings += [f"{one}: no bars {period}, so that it was never traded" for one in absent]
    if not any(one.ts[-1] >= first for one in markets):
        raise DataError(f"no bar {period} has a price above zero; look with `cq lake quality`")
    detail, finer, lake = None, asked.settings.detail_interval, asked.lake
    if finer is not None and not rules.orders.within_bars:
        warnings.append(
            f"{strategy.name}: all its orders are at market, and no stop_loss, take_profit or "
            f"trailing_stop can be met within a bar: bars of {finer} (detail_interval) would say "
            "nothing, and were not read"
        )
    elif finer is not None:
        if lake is None:
            raise UsageError(
                "backtest.detail_interval: finer bars are read from a lake, and a frame has none "
                "beside its own; leave it out"
            )
        exchange = strategy.config.exchange
        markets, detail = with_detail(
            lake, markets, rules.interval, finer, exchange, warnings.append
        )
    made = simulate(markets, rules, first)
    measuring = Background(lambda: measured(made, markets, rules.cash, rules.interval))
    warnings += doubts(asked.bars, parts, markets, rules, strategy, made)
    warnings += missed(markets, made, rules.interval)
    warnings += unheard(markets, made)
    warnings += spent(made, rules.cash)
    for warning in warnings:
        asked.say(f"warning: {warning}")
    config = configuration(strategy, asked.settings, asked.symbols, asked.quote, period)
    config["data"] = extent(parts)
    if asked.lake is not None:
        taken()  # what the lake holds now
    if detail is not None:
        config["detail"] = {"interval": finer, "rows": detail.rows, "digest": detail.digest}
    config["warnings"] = warnings
    if strategy.gate is not None:
        config["gate"] = [one.as_dict() for one in strategy.gate.models]
    return BacktestResult(
        name=strategy.name,
        symbols=tuple(one.symbol for one in markets),
        interval=rules.interval,
        trades=made.fills.frame(),
        equity=equity_frame(made),
        measure=measuring.result,
        asked=config,
        taken=taken,
        detail=detail,
        markets=tuple(markets),
        gate=strategy.gate,
        at_close=made.fills.at_close,
    )


def rules_of(strategy: Strategy, settings: Backtest) -> Rules:
    """The engine's rules, from settings and from what the strategy says of size and orders."""
    rules = Rules(
        cash=settings.cash,
        costs=Costs.of(settings),
        interval=strategy.config.interval,
        fill=settings.fill,
        max_position=settings.max_position,
        band=strategy.rebalance,
        latency=settings.latency_bars,
        allow_short=settings.allow_short,
        borrow=settings.borrow_rate if settings.allow_short else 0.0,
        unit=strategy.config.sizing.unit,
        together=strategy.config.together,
        orders=orders_of(strategy.config.orders),
    )
    return as_in(settings.profile, rules)


def orders_of(config: OrdersConfig) -> Orders:
    """The engine's orders, from what a strategy's file says."""
    levels: dict[str, Any] = {name: Level(*said) for name, said in config.levels().items()}
    return Orders(
        entry=config.entry,
        expires=config.expires_bars,
        max_bars=config.max_bars,
        cooldown=config.cooldown_bars,
        reentry=config.reentry,
        **levels,
    )


def equity_frame(made: Simulation) -> pl.DataFrame:
    """The account at the close of every bar."""
    return pl.DataFrame(
        {"ts": made.ts, "equity": made.equity, "cash": made.cash, "exposure": made.exposure}
    )


def configuration(
    strategy: Strategy, settings: Backtest, symbols: Sequence[str], quote: str, period: Period
) -> dict[str, Any]:
    """Everything that a result follows from, apart from the data; `settings` are the strategy's."""
    return {
        "strategy": strategy.config.model_dump(mode="json", exclude={"backtest"}),
        "backtest": settings.model_dump(mode="json"),
        "symbols": list(symbols),
        "quote": quote,
        "period": {
            "start": None if period.start is None else iso(period.start),
            "end": None if period.end is None else iso(period.end),
        },
        "code": code_of(strategy),
    }
