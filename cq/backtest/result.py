"""The result of a run: frames and numbers, and the folder that keeps them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.backtest.engine import buy_and_hold
from cq.backtest.folder import being_written
from cq.backtest.holdings import positions
from cq.backtest.intents import Floats
from cq.backtest.market import Market
from cq.backtest.metrics import Metrics
from cq.backtest.profiles import COSTS
from cq.errors import DataError
from cq.lake.fingerprint import Fingerprint
from cq.utils.files import beside, write_text

if TYPE_CHECKING:
    from cq.features.gate import Gate

FILES = ("trades.csv", "equity.parquet", "metrics.json", "config.json", "data.json")
"""What the same inputs write with the same bytes."""
DETAIL = "detail.json"
"""The fingerprint of finer bars, where some were read."""
REPORT = "report.html"
PLOTS = ("equity.png", "candles_*.png", "round_trips.png", "days.png")
"""Patterns of the pictures that may lie beside the report."""
GATE = "gate.joblib"
"""The trained gate of a strategy that has one, for `gate.trained` and live trading."""


@dataclass(frozen=True)
class BacktestResult:
    """Trades, equity, metrics and what they follow from.

    `asked` is the configuration without what `taken` tells of the bars that were read; `measure`
    gives the metrics, which may still be being found.
    """

    name: str
    symbols: tuple[str, ...]
    interval: str
    trades: pl.DataFrame
    equity: pl.DataFrame
    measure: Callable[[], Metrics] = field(repr=False)
    asked: dict[str, Any]
    taken: Callable[[], Fingerprint] = field(repr=False)
    markets: tuple[Market, ...] = field(default=(), repr=False)
    gate: Gate | None = field(default=None, repr=False)
    detail: Fingerprint | None = field(default=None, repr=False)
    at_close: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool), repr=False)
    """Of each trade, whether it was made at the end of a bar."""

    def __repr__(self) -> str:
        """What was traded, and the numbers that have a value."""
        known = {name: value for name, value in self.metrics.items() if value is not None}
        return (
            f"{type(self).__name__}({self.name}: {', '.join(self.symbols)}, "
            f"{self.equity.height:,} bars of {self.interval}, "
            + ", ".join(f"{name} {value:.6g}" for name, value in known.items())
            + ")"
        )

    @property
    def metrics(self) -> Metrics:
        """The numbers of `cq metrics`, in their order; None where one has no value."""
        return self.measure()

    @cached_property
    def positions(self) -> pl.DataFrame:
        """What is held at each bar's close: ts, symbol, qty, close, worth, weight (of equity), and
        `stale` where the symbol had no bar and is worth an older close."""
        decimals = self.asked["backtest"]["quantity_decimals"]
        if (profile := self.asked["backtest"]["profile"]) is not None:
            decimals = COSTS[profile].get("quantity_decimals", decimals)
        return positions(self.trades, self.at_close, self.markets, self.equity, decimals)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Everything that the result follows from."""
        data = self.asked["data"]
        read = {"digest": self.data.digest, "files": [one.path for one in self.data.files]}
        return self.asked | {"data": data | read}

    @property
    def data(self) -> Fingerprint:
        """Which rows were read, and from which files."""
        return self.taken()

    @property
    def cash(self) -> float:
        """What the run started with."""
        return float(self.asked["backtest"]["cash"])

    @property
    def held(self) -> Floats:
        """What the same cash would be worth at each bar, bought and held."""
        ts = self.equity["ts"].to_numpy()
        return buy_and_hold(self.markets, int(ts[0]), ts, self.cash)

    @property
    def digest(self) -> str:
        """Twelve digits that name everything the result follows from."""
        return hashlib.sha256(_json(self.config).encode()).hexdigest()[:12]

    def write(self, folder: Path) -> None:
        """Write the files into `folder`; the same inputs give the same bytes.

        Each appears whole. The configuration comes last: by it a folder is one of a run. What is
        stopped before may be written into the same folder again.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with being_written(folder):
                with beside(folder / "trades.csv") as path:
                    self.trades.write_csv(path)
                with beside(folder / "equity.parquet") as path:
                    self.equity.write_parquet(path, compression="lz4")
                write_text(folder / "metrics.json", _json(self.metrics))
                write_text(folder / "data.json", self.data.as_json())
                (folder / DETAIL).unlink(missing_ok=True)
                if self.detail is not None:
                    write_text(folder / DETAIL, self.detail.as_json())
                if self.gate is not None:
                    from cq.features.gate import save

                    with beside(folder / GATE) as path:
                        save(self.gate, path)
                write_text(folder / "config.json", _json(self.config))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _unwritable(folder, error) from None


def write_run(
    folder: Path,
    started: datetime,
    elapsed_s: float,
    luck: Metrics,
    said: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Keep what differs between two runs of the same inputs: id, start, length, and `luck`.

    That is how often the strategy was tried until then, and what that makes of it. `said` is what
    was asked for: the strategy's file and what was set beside it.
    """
    run = {
        "id": folder.name,
        "started": f"{started:%Y-%m-%dT%H:%M:%SZ}",
        "elapsed_s": round(elapsed_s, 3),
        **luck,
        **(said or {}),
    }
    try:
        write_text(folder / "run.json", _json(run))
    except OSError as error:
        raise _unwritable(folder, error) from None
    return run


def remove_report(folder: Path) -> None:
    """Take away what an older run left in the folder."""
    for pattern in (REPORT, *PLOTS):
        for stale in folder.glob(pattern):
            stale.unlink()


def new_folder(runs: Path, name: str) -> Path:
    """A folder of its own below `runs`; a second run of the same second gets a number."""
    for number in range(1, 10_000):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise _unwritable(folder, error) from None
        return folder
    raise DataError(f"{runs} is full of runs named {name}; move some away")


def _unwritable(folder: Path, error: Exception) -> DataError:
    """What Polars says of a file it could not write ends in what the system said."""
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or ["?"])[0]
    return DataError(
        f"cannot write results to {folder} ({reason}); "
        "see to its permissions and free space, or name another folder with --out DIR"
    )


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
