"""Monte Carlo: what else could have become of a run, had its trades, days or start been others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from cq.backtest.account import Fill
from cq.backtest.asked import settings_of, strategy_of
from cq.backtest.bars import Period
from cq.backtest.days import Days, growth, until_ruin
from cq.backtest.engine import simulate
from cq.backtest.intents import Floats
from cq.backtest.kept import Kept
from cq.backtest.metrics import max_drawdown
from cq.backtest.profiles import as_traded
from cq.backtest.rounds import Trips
from cq.errors import CqError, DataError, TooFew, UsageError
from cq.lake import Lake
from cq.stats.bootstrap import resampled
from cq.sweeps.ground import Ground, history
from cq.utils.names import counted

PERCENTILES: Final = (5, 25, 50, 75, 95)
AT_ONCE: Final = 4_000_000
"""Numbers that are held at a time."""
METHODS: Final = ("trades", "blocks", "starts")


@dataclass(frozen=True)
class Spread:
    """What many histories came to: their final returns and deepest drawdowns."""

    method: str
    returns: Floats
    drawdowns: Floats

    def as_json(self) -> dict[str, Any]:
        """Percentiles of both, and how often money was lost."""
        return {
            "method": self.method,
            "samples": int(self.returns.size),
            "loss": float((self.returns < 0).mean()),
            **{
                name: dict(
                    zip(
                        (f"p{one}" for one in PERCENTILES),
                        np.percentile(values, PERCENTILES).tolist(),
                        strict=True,
                    )
                )
                for name, values in (("total_return", self.returns), ("max_dd", self.drawdowns))
            },
        }


def monte_carlo(
    lake: Lake,
    kept: Kept,
    project: Path,
    *,
    methods: Sequence[str] = (),
    samples: int = 1_000,
    block: int = 20,
    starts: int = 30,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> list[Spread]:
    """The spread of each method over the run in a folder; the same seed gives the same one.

    `trades` draws round trips again, with replacement, one after the other; `blocks` draws runs of
    days, `block` long in the mean (the stationary bootstrap); `starts` runs the strategy again from
    so many dates within the first fifth of its period. Without `methods` it is all of them that the
    run has enough for, and what is left out is said.
    """
    if kept.mode != "backtest":
        raise DataError(f"the mode of {kept.name} is {kept.mode}; expected a backtest")
    if samples < 1 or starts < 1 or block < 1:
        raise UsageError("expected at least one sample, one start, and blocks of at least one day")
    if seed < 0:
        raise UsageError(f"--seed {seed} is below 0; expected a whole number from 0 on")
    found = []
    for method in methods or METHODS:
        chance = np.random.default_rng([seed, METHODS.index(method)])
        try:
            match method:
                case "trades":
                    found.append(_drawn(method, trip_returns(kept), samples, 1, chance))
                case "blocks":
                    found.append(_drawn(method, daily_returns(kept), samples, block, chance))
                case _:
                    found.append(_started(lake, kept, project, starts, chance))
        except TooFew as error:
            if methods:
                raise
            say(f"{method} is left out: {error.run} has {error.found}, two are needed")
    return found


def _drawn(
    method: str, moves: Floats, samples: int, block: int, chance: np.random.Generator
) -> Spread:
    """Histories of as many moves as there were, drawn from them."""
    block = min(block, moves.size)
    returns, falls = [], []
    at_once = max(1, AT_ONCE // moves.size)
    for first in range(0, samples, at_once):
        count = min(at_once, samples - first)
        drawn = until_ruin(moves[resampled(moves.size, count, block, chance)])
        grown = np.cumprod(1 + drawn, axis=1)
        peak = np.maximum(np.maximum.accumulate(grown, axis=1), 1.0)
        returns.append(grown[:, -1] - 1)
        falls.append(np.minimum((grown / peak - 1).min(axis=1), 0.0))
    return Spread(method, np.concatenate(returns), np.concatenate(falls))


def trip_returns(kept: Kept) -> Floats:
    """What each closed round trip made, as a share of equity when it began; 0 where none was left
    to begin with."""
    curve = _curve(kept)
    rows = _table(kept, "trades.csv")
    if rows.height != kept.metrics.get("trades", rows.height):
        raise DataError(
            f"{kept.folder / 'trades.csv'} has {rows.height:,} trades, and metrics.json says "
            f"{kept.metrics['trades']:,}; run `cq backtest` again"
        )
    rows = rows.select("ts", "symbol", "side", "qty", "price", "fee", "slippage")
    trips = Trips.of([Fill(**row) for row in rows.iter_rows(named=True)])
    count = trips.profit.size
    if count < 2:
        found = counted(count, "closed round trip", "closed round trips")
        raise TooFew(kept.name, found, "--method blocks draws days instead")
    ts, equity = curve["ts"].to_numpy(), curve["equity"].to_numpy()
    places = np.searchsorted(ts, trips.opened_ts) - 1
    before = np.where(places >= 0, equity[np.maximum(places, 0)], _cash(kept))
    entry, exit_ = _costs(rows)
    before += entry[trips.opened] if _enters_at_closes(kept) else -exit_[trips.opened]
    shares = trips.profit / np.where(before > 0, before, 1.0)
    return np.where(before > 0, shares, 0.0)


def _costs(rows: pl.DataFrame) -> tuple[Floats, Floats]:
    """What each fill cost, as far as it opened a position and as far as it closed one."""
    signed = pl.when(pl.col("side") == "buy").then("qty").otherwise(-pl.col("qty"))
    held, costs = signed.cum_sum().over("symbol"), pl.col("fee") + pl.col("slippage")
    entry = costs * (held.abs() / pl.col("qty")).clip(upper_bound=1.0)
    found = rows.select(entry=entry, exit=costs - entry)
    return found["entry"].to_numpy(), found["exit"].to_numpy()


def _enters_at_closes(kept: Kept) -> bool:
    """Whether entries of the run were filled at closes, whose equity is less their costs already;
    those that wait come within their bar."""
    orders = kept.config["strategy"].get("orders", {})
    fill = as_traded(settings_of(kept).model_dump())["fill"]
    return bool(fill != "next_open" and orders.get("entry", "market") == "market")


def daily_returns(kept: Kept) -> Floats:
    """The return of each day (of each bar, where bars are longer)."""
    curve = _curve(kept)
    days = Days.of(curve["ts"].to_numpy(), kept.config["strategy"]["interval"])
    if days.rows.size < 2:
        found = counted(days.rows.size, "day", "days")
        raise TooFew(kept.name, found, "--method starts runs it again from other dates")
    return growth(curve["equity"].to_numpy()[days.rows], _cash(kept))


def _started(
    lake: Lake, kept: Kept, project: Path, starts: int, chance: np.random.Generator
) -> Spread:
    """The run again from other dates, each until where it ended."""
    config = kept.config
    strategy, settings = strategy_of(kept, project), settings_of(kept)
    curve = _curve(kept)["ts"]
    first, last = int(curve[0]), int(curve[-1])
    period = Period(first, last + 1)
    ground = Ground.of_lake(
        lake, strategy, settings, period, config.get("quote", ""), history(strategy, settings),
        lambda _: None,
    )  # fmt: skip
    returns, falls, error = [], [], None
    for start in np.sort(chance.integers(first, first + (last - first) // 5 + 1, starts)).tolist():
        try:
            _, markets, rules, since = ground.within(start, last + 1).markets(strategy, settings)
        except CqError as failed:
            error = error or failed
            continue
        made = simulate(markets, rules, since)
        returns.append(float(made.equity[-1]) / rules.cash - 1)
        falls.append(max_drawdown(made.equity, rules.cash))
    if not returns:
        raise error or DataError(f"{kept.name}: no start to run again from")
    return Spread("starts", np.array(returns), np.array(falls))


def _cash(kept: Kept) -> float:
    said: Mapping[str, Any] = kept.config.get("backtest", {})
    return float(said.get("cash", 0.0)) or float(_curve(kept)["equity"][0])


def _curve(kept: Kept) -> pl.DataFrame:
    found = _table(kept, "equity.parquet")
    if found.is_empty():
        raise DataError(f"{kept.name} has no equity curve")
    return found


def _table(kept: Kept, name: str) -> pl.DataFrame:
    path = kept.folder / name
    try:
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(f"{path} cannot be read ({reason}); run `cq backtest` again") from None
