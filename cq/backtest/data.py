"""What a run reads: the bars with their targets, market by market, and a digest of them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from cq.backtest.engine import Market
from cq.errors import DataError, EmptyDataset, NoBars, StrategyError, UnknownSymbol
from cq.indicators import one_market
from cq.lake import reading
from cq.signals import collected, targets, with_targets
from cq.strategies import Strategy, resolve
from cq.utils.time import interval_ns, iso

if TYPE_CHECKING:
    from cq.lake import Lake

READ = ("ts", "open", "close")
"""What the engine and cq's own strategies read of a bar."""

ALL = ("ts", "open", "high", "low", "close", "volume")
"""What a user's own strategy may have read."""


@dataclass(frozen=True)
class Part:
    """What was read of one symbol, oldest first, with its targets."""

    symbol: str
    rows: pl.DataFrame


@dataclass(frozen=True)
class Period:
    """Bars that open in [start, end); None is as far as the lake goes."""

    start: int | None = None
    end: int | None = None

    def __str__(self) -> str:
        since = f"from {iso(self.start)}" if self.start is not None else ""
        until = f"before {iso(self.end)}" if self.end is not None else ""
        return " ".join(part for part in (since, until) if part) or "at all"


def symbols_of(lake: Lake, strategy: Strategy, quote: str) -> tuple[tuple[str, ...], list[str]]:
    """The strategy's symbols as the lake has them, and notes on those that had to be chosen.

    A base alone is looked for among the bars that can serve the interval, then among all.
    """
    config = strategy.config
    stored = lake.stored()
    if stored.is_empty():
        raise EmptyDataset("ohlcv", lake.root)
    if config.exchange is not None:
        known = sorted(set(stored["exchange"]))
        if config.exchange not in known:
            raise DataError(
                f"the lake has no bars of exchange {config.exchange!r}; there is "
                f"{', '.join(known)}: --set exchange={known[0]}"
            )
        stored = stored.filter(pl.col("exchange") == config.exchange)
    length = interval_ns(config.interval)
    serving = {
        row[0]
        for row in stored.select("symbol", "interval").rows()
        if length % interval_ns(row[1]) == 0
    }
    try:
        return resolve(config.symbols, quote, serving)
    except UnknownSymbol:
        return resolve(config.symbols, quote, stored["symbol"].to_list())


def bars_of(
    lake: Lake, symbols: Sequence[str], strategy: Strategy, period: Period, history: int
) -> pl.LazyFrame:
    """The period's bars and up to `history` older ones, by (symbol, ts)."""
    interval, exchange = strategy.config.interval, strategy.config.exchange
    if period.start is None or history == 0:
        return lake.bars(symbols, interval, period.start, period.end, exchange=exchange)
    frames = []
    for symbol in symbols:
        older = lake.bars_before(symbol, interval, period.start, history, exchange=exchange)
        inside = lake.bars(symbol, interval, period.start, period.end, exchange=exchange)
        frames += [older, inside]
    return pl.concat(frames)


def parts_of(bars: pl.LazyFrame, symbols: Sequence[str], strategy: Strategy) -> list[Part]:
    """What was read of each symbol, with its targets, oldest first; by symbol."""
    if strategy.code is not None:
        return _by_symbol(_own_targets(bars.collect(), strategy))
    columns = [*READ, "target"]
    if len(symbols) == 1:
        with one_market():
            plan = with_targets(bars, strategy).select(columns)
        return [Part(symbols[0], collected(plan, strategy))]
    return _by_symbol(collected(with_targets(bars, strategy).select("symbol", *columns), strategy))


def _own_targets(bars: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """The lake's bars beside what a user's own strategy decides: prices are never its own."""
    key = ["symbol", "ts"]
    decided = collected(targets(bars.lazy(), strategy).select(*key, "signal", "target"), strategy)
    bars, decided = bars.select("symbol", *ALL).sort(key), decided.sort(key)
    if not decided.select(key).equals(bars.select(key)):
        raise StrategyError(
            str(strategy.code),
            f"its frame has {decided.height} rows for {bars.height} bars, or other ones; "
            "keep every bar, once",
        )
    return bars.hstack(decided.select("signal", "target"))


def _by_symbol(frame: pl.DataFrame) -> list[Part]:
    """One part a symbol, each in the order of time; a plan that lost the order is put right."""
    lengths = frame["symbol"].rle().struct.field("len").to_list()
    ends = np.cumsum([0, *lengths]).tolist()
    runs = [frame.slice(a, b - a) for a, b in itertools.pairwise(ends)]
    names = [run.item(0, "symbol") for run in runs]
    if names == sorted(set(names)) and all(_in_order(run["ts"]) for run in runs):
        return [Part(name, run.drop("symbol")) for name, run in zip(names, runs, strict=True)]
    return _by_symbol(frame.sort("symbol", "ts"))


def markets_of(parts: Sequence[Part], strategy: Strategy) -> list[Market]:
    """Each symbol's rows as arrays; a target that is no number is refused."""
    found = []
    for part in parts:
        _check_targets(part, strategy)
        ts = part.rows["ts"].to_numpy()
        if not bool(np.all(ts[1:] > ts[:-1])):
            raise DataError(f"bars of {part.symbol} repeat; look with `cq lake quality`")
        columns = (part.rows[one].to_numpy() for one in ("open", "close", "target"))
        found.append(Market(part.symbol, ts, *columns))
    return found


def _in_order(ts: pl.Series) -> bool:
    values = ts.to_numpy()
    return bool(np.all(values[1:] >= values[:-1]))


def _check_targets(part: Part, strategy: Strategy) -> None:
    finite = part.rows["target"].is_finite()
    if finite.all():  # nulls aside
        return
    ts, target = part.rows.filter(~finite).select("ts", "target").row(0)
    raise StrategyError(
        str(strategy.code or strategy.name),
        f"the target of {part.symbol} at {iso(ts)} is {target}; "
        "expected a fraction of equity, or null",
    )


def check_period(
    lake: Lake, symbols: Sequence[str], strategy: Strategy, period: Period, parts: Sequence[Part]
) -> None:
    """NoBars when nothing opens in the period; DataError when nothing in it is warm."""
    since = -1 if period.start is None else period.start
    inside = [one.rows.filter(pl.col("ts") >= since) if since > 0 else one.rows for one in parts]
    if not sum(rows.height for rows in inside):
        raise NoBars(", ".join(symbols), str(period), _held(lake, symbols, strategy))
    if all(rows["target"].null_count() == rows.height for rows in inside):
        most = max(one.rows.height for one in parts)
        if most >= strategy.warmup:
            raise StrategyError(
                str(strategy.code or strategy.name),
                f"gives no signal on any of {most} bars; expected −1, 0 or 1 from the "
                f"{strategy.warmup}th bar on",
            )
        raise DataError(
            f"{strategy.name} needs {strategy.warmup} bars of {strategy.config.interval} before it "
            f"can decide; the period has {most}; take a longer one"
        )


def _held(lake: Lake, symbols: Sequence[str], strategy: Strategy) -> str:
    config = strategy.config
    ts = lake.bars(symbols, config.interval, exchange=config.exchange).select(
        first=pl.col("ts").min(), last=pl.col("ts").max(), rows=pl.len()
    )
    with reading(lake.root):
        found = ts.collect().row(0, named=True)
    if not found["rows"]:
        return "none"
    return f"{config.interval} bars from {iso(found['first'])} to {iso(found['last'])}"


class Digest:
    """A digest of the rows read, computed on a thread of its own (hashing leaves Python free)."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._found = ""
        self._thread = Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        self._found = digest(self._parts)

    def result(self) -> str:
        """The digest, once it is there."""
        self._thread.join()
        return self._found


def digest(parts: Sequence[Part]) -> str:
    """SHA-256 of the rows in (symbol, ts) order, whatever files they came from."""
    hashed = hashlib.sha256()
    for part in parts:
        columns = [one for one in ALL if one in part.rows.columns]
        hashed.update(f"{part.symbol} {part.rows.height} {' '.join(columns)}\n".encode())
        for column in columns:
            hashed.update(np.ascontiguousarray(part.rows[column].to_numpy()).data)
    return hashed.hexdigest()


def description(
    lake: Lake, symbols: Sequence[str], strategy: Strategy, parts: Sequence[Part]
) -> dict[str, Any]:
    """Which rows were read, and from which files of the lake."""
    seen = [one.rows["ts"] for one in parts if one.rows.height]
    first, last = min(ts[0] for ts in seen), max(ts[-1] for ts in seen)
    files = lake.files(
        symbols, strategy.config.interval, first, last + 1, exchange=strategy.config.exchange
    )
    return {
        "rows": sum(len(ts) for ts in seen),
        "first": iso(first),
        "last": iso(last),
        "files": sorted(_name(one, lake.root) for one in files),
    }


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
