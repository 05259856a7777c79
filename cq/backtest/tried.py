"""How often a strategy was tried, and what that makes of the best: the deflated Sharpe ratio.

Trials are the rows of the view `runs` that are of the same kind of strategy (of your own: of the
same Python file): backtests, and the trials of sweeps. Each set of parameters, symbols and interval
counts once, with its newest Sharpe ratio; where one sweep tried it several times (at other costs),
with the best of those. They are read from the runs' files, since a backtest must not wait for a
database.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cq.backtest.days import Days, growth
from cq.backtest.metrics import Metrics
from cq.backtest.risk import moments_of
from cq.stats.sharpe import deflated_sharpe

if TYPE_CHECKING:
    from cq.backtest.result import BacktestResult

Trials = dict[str, float]
"""What was tried → its Sharpe ratio a year; 0 where it has none, such as one that never traded."""

CHOSEN: Final = ("max_position", "max_gross_exposure", "allow_short")
"""Of `backtest`, what is a choice like a parameter; the rest is costs and how orders fill."""


def kind_of(config: Mapping[str, Any]) -> str:
    """Which strategy a configuration is of: its kind, or the file that a user wrote."""
    said = config["strategy"]
    return str(said.get("python") or said["kind"])


def key_of(config: Mapping[str, Any]) -> str:
    """What makes a trial one of its own: parameters, caps, symbols, interval, a user's own code.

    Symbols are those that were traded, in their order (which may decide who gets the cash, or which
    leg is which), however the strategy's file wrote them.
    """
    left_out = ("name", "symbols")
    said = {name: value for name, value in config["strategy"].items() if name not in left_out}
    rules = config.get("backtest", {})
    said |= {name: rules[name] for name in CHOSEN if name in rules}
    code = config.get("code", {})
    own = [code.get("python", ""), *filter(None, [code.get("imports")])]
    text = json.dumps([said, config.get("symbols"), *own], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def trial_of(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.json` keeps of a run, so that many of them are counted quickly."""
    ratio = float(metrics["sharpe"] or 0.0)
    return {"kind": kind_of(config), "key": key_of(config), "sharpe": ratio}


def tried(runs: Path, config: Mapping[str, Any]) -> Trials:
    """What was tried of this strategy, as far as the runs can be read; oldest first."""
    found: Trials = {}
    kind = kind_of(config)
    sweeps = {str(one.parent): one for one in runs.glob("*/trials.parquet")}
    folders = sorted(one.path for one in os.scandir(runs)) if runs.is_dir() else []
    for folder in folders:
        sweep = sweeps.get(folder)
        found |= best_of_each(_of_run(folder, kind) if sweep is None else _of_sweep(sweep, kind))
    return found


def best_of_each(trials: Iterable[tuple[str, float]]) -> Trials:
    """The best ratio of those that are known by one key; what is no number counts as 0."""
    found: Trials = {}
    for key, said in trials:
        ratio = said if math.isfinite(said) else 0.0
        found[key] = max(ratio, found.get(key, ratio))
    return found


def _of_run(folder: str, kind: str) -> Iterator[tuple[str, float]]:
    try:
        said = _read(folder, "run.json")
        if said.get("mode", "backtest") != "backtest":
            return
        trial = said.get("trial")
        if trial is None:
            config = _read(folder, "config.json")
            if not config or kind_of(config) != kind:
                return
            trial = trial_of(config, _read(folder, "metrics.json"))
        if trial["kind"] == kind:
            yield trial["key"], float(trial["sharpe"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not ours to mend
        return


def _read(folder: str, name: str) -> Any:
    """What a file of a run says; nothing where it is not there."""
    try:
        with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123  # a thousand times over
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _of_sweep(path: Path, kind: str) -> Iterator[tuple[str, float]]:
    """A sweep is of one strategy; its rows say by what key they are known."""
    try:
        rows = pl.scan_parquet(path)
        first = rows.select("config").head(1).collect()
        if first.is_empty() or kind_of(json.loads(first.item())) != kind:
            return
        key = "key" if "key" in rows.collect_schema() else "config"
        found = rows.select(key, pl.col("sharpe").fill_null(0.0)).collect()
        for said, ratio in found.iter_rows():
            yield said if key == "key" else key_of(json.loads(said)), ratio
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError):
        return


def deflated(result: BacktestResult, others: Mapping[str, float]) -> Metrics:
    """`trials` and `dsr`: the chance that this result is more than the best of so many tries."""
    every = {**others, key_of(result.config): float(result.metrics["sharpe"] or 0.0)}
    days = Days.of(result.equity["ts"].to_numpy(), result.interval)
    equity = result.equity["equity"].to_numpy()[days.rows]
    shape = moments_of(growth(equity, result.cash))
    if shape is None or shape.variance <= 0:
        return {"trials": len(every), "dsr": None}
    ratios = pl.Series(list(every.values()), dtype=pl.Float64)
    variance = float(ratios.var() or 0.0) / days.per_year  # type: ignore[arg-type]
    return {"trials": len(every), "dsr": deflated_sharpe(shape, len(every), variance)}
