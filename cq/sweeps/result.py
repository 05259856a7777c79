"""What a sweep found: a row a trial, the best of them, and what they are worth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cq.errors import DataError
from cq.lake.raw import FIGURES, TRIALS
from cq.sweeps.identity import KEY
from cq.utils.files import beside, write_text

if TYPE_CHECKING:
    from cq.stats.overfitting import Overfitting
    from cq.sweeps.luck import Deflated
    from cq.sweeps.space import Axis

FOLDS: Final = (
    *("fold", "train_start", "train_end", "test_start", "test_end", "test_return", "test_trades"),
    *("tested", "rank"),
    *(f"{part}_{name}" for part in ("train", "test") for name in FIGURES),
)
"""What stands beside parameters in the tables of a walk-forward and a cross-validation."""
TAKEN: Final = {*TRIALS, KEY, *FOLDS} - {"symbols", "interval"}
"""Columns of trials and folds that are no parameters; those two say what a parameter may say."""
LOW: Final = ("fees", "slippage", "turnover")
"""Metrics of which less is better."""


@dataclass(frozen=True)
class Best:
    """One of the best trials: its row, and what its Sharpe ratio is worth.

    Of the very best, `warnings` are what its own backtest would warn of.
    """

    number: int
    params: dict[str, Any]
    figures: dict[str, Any]
    luck: Deflated
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepResult:
    """Every trial of a sweep, and how likely the best is one by luck.

    `trials`: a row each, with its number, a column a parameter (`column_of`), and its metrics.
    `skipped` makes no sense, `failed` could not be run: how many of each, and why the first.
    """

    name: str
    symbols: tuple[str, ...]
    interval: str
    axes: tuple[Axis, ...]
    trials: pl.DataFrame
    best: tuple[Best, ...]
    sort: str
    overfitting: Overfitting | None
    skipped: tuple[int, str | None]
    failed: tuple[int, str | None]
    config: dict[str, Any] = field(repr=False)
    identities: pl.DataFrame = field(repr=False)
    """Of each trial: strategy, symbols, interval, bars, configuration, key."""

    @property
    def params(self) -> list[str]:
        """The parameters that were tried."""
        return [one.name for one in self.axes]

    def as_json(self) -> dict[str, Any]:
        """All of it but the trials."""
        from cq.sweeps.luck import as_json

        return {
            "strategy": self.name,
            "symbols": list(self.symbols),
            "interval": self.interval,
            "trials": self.trials.height,
            "skipped": self.skipped[0],
            "failed": self.failed[0],
            "sort": self.sort,
            "overfitting": as_json(self.overfitting),
            "best": [
                {
                    "trial": one.number,
                    "params": one.params,
                    "metrics": one.figures,
                    "psr": one.luck.probabilistic,
                    "dsr": one.luck.deflated,
                    "tried": one.luck.tried,
                }
                for one in self.best
            ],
            "warnings": list(self.best[0].warnings),
            "config": self.config,
        }

    def write(self, folder: Path, started: datetime) -> None:
        """`sweep.json` and `trials.parquet` in `folder`; the second, which lists it, comes last."""
        rows = listed(self.trials, self.params, self.identities, started)
        write_folder(folder, {"sweep.json": self.as_json()}, rows)


def write_folder(folder: Path, texts: dict[str, Any], trials: pl.DataFrame) -> None:
    """JSON files and `trials.parquet` in `folder`; the last, which lists its rows, comes whole."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in texts.items():
            write_text(folder / name, json.dumps(value, indent=2, default=str) + "\n")
        with beside(folder / "trials.parquet") as path:
            trials.write_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(
            f"cannot write results to {folder} ({reason}); see to its permissions and free "
            "space, or name another folder with --out DIR"
        ) from None


def listed(
    trials: pl.DataFrame, params: list[str], identities: pl.DataFrame, started: datetime
) -> pl.DataFrame:
    """Trials as `trials.parquet` keeps them: what the view `runs` asks for, then their parameters.

    What the identity of each says of its symbols, interval and bars stands in the place of a
    parameter of that name, which may be a base alone.
    """
    rows = trials.drop(identities.columns, strict=False).hstack(identities)
    rows = rows.with_columns(started=pl.lit(f"{started:%Y-%m-%dT%H:%M:%SZ}"))
    columns = dict.fromkeys((*map(column_of, params), KEY))
    extra = [pl.col(name) for name in columns if name not in TRIALS]
    return rows.select(*(pl.col(name).cast(kind) for name, kind in TRIALS.items()), *extra)


def best_first(trials: pl.DataFrame, sort: str) -> pl.DataFrame:
    """Trials from the best to the worst; those without the metric last, ties in their order."""
    return trials.sort(pl.col(sort), "trial", descending=[sort not in LOW, False], nulls_last=True)


def column_of(param: str) -> str:
    """The column of a parameter: its own name, unless a metric or the like is called so."""
    return f"params.{param}" if param in TAKEN else param


def frame_of(
    rows: Sequence[Mapping[str, Any]], tried: Sequence[Mapping[str, Any]], params: Sequence[str]
) -> pl.DataFrame:
    """Trials as a frame: of each its row, and what was tried."""
    numbers, *figures = (
        pl.Series(name, [row[name] for row in rows], TRIALS[name])
        for name in ("trial", *FIGURES, "cash")
    )
    return pl.DataFrame([numbers, *(_tried(tried, name) for name in params), *figures])


def _tried(tried: Sequence[Mapping[str, Any]], name: str) -> pl.Series:
    """The values of one parameter, trial by trial; those of several kinds are text."""
    values = [one[name] for one in tried]
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        values = [None if one is None else float(one) for one in values]
    elif len(kinds) > 1 or kinds & {list, dict, tuple}:
        values = [str(one) for one in values]
    return pl.Series(column_of(name), values, strict=False)
