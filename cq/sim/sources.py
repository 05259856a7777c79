"""Where the tape comes from: the generator, a lake, or files that `cq lake import` can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import polars as pl

from cq.errors import DataError, NoSuchFile, UnknownLayout
from cq.lake import Lake
from cq.lake.damage import collected
from cq.lake.datasets import TRADES
from cq.lake.source import rows_of
from cq.sim.arrays import BUY, SELL, BarArrays, Floats, Ints, TradeArrays
from cq.sim.listing import UNIT, listing
from cq.sim.strips import BarsStrip, Strip, TradesStrip
from cq.sim.tape import Tape
from cq.utils.time import interval_ns

GENERATED: Final = "generated"
HOME: Final = "mercadobitcoin"
_MOST: Final = 4e9
"""Volume of one bar beyond which a day's sum of 1e-8 may leave 64 bits."""
_PRICES: Final = ("open", "high", "low", "close")


def tape_of(
    data: str,
    *,
    seed: int,
    trades_per_minute: float,
    now_ns: int,
    symbol: str | None = None,
    interval: str | None = None,
) -> Tape:
    """The tape of `data`: `generated`, a lake's folder, or a file or folder of other data.

    `symbol` and `interval` are for files that do not say theirs.
    """
    if data == GENERATED:
        return Tape.generated(seed, trades_per_minute)
    path = Path(data).expanduser()
    if not path.exists():
        raise NoSuchFile(path)
    if (path / "lake.json").is_file():
        return tape_of_lake(Lake(path), seed, trades_per_minute, str(path))
    with TemporaryDirectory(prefix="cq-sim-") as folder:
        lake = Lake(Path(folder) / "lake")
        notes = _imported(lake, path, now_ns, symbol, interval)
        found = tape_of_lake(lake, seed, trades_per_minute, str(path))
        notes = (*found.notes, *notes)
        return Tape(found.listings, found.strips, seed, source=str(path), notes=notes)


def _imported(
    lake: Lake, path: Path, now_ns: int, symbol: str | None, interval: str | None
) -> tuple[str, ...]:
    """Land what the importer understands: trades where the files hold some, else bars."""
    from cq.ingest.files import import_files, total

    errors: list[DataError] = []
    for dataset, exchange in (
        ("trades", None),
        ("trades", HOME),
        ("ohlcv", None),
        ("ohlcv", HOME),
    ):
        reports = import_files(
            lake,
            [path],
            dataset,
            now_ns=now_ns,
            symbol=symbol,
            exchange=exchange,
            interval=interval if dataset == "ohlcv" else None,
        )
        if total(reports).landed:
            return tuple(note for report in reports for note in report.notes)
        failed = [one.error for one in reports if isinstance(one.error, DataError)]
        errors += [one for one in failed if f", not {dataset}" not in str(one)]
    raise _no_market(path, errors)


def _no_market(path: Path, errors: list[DataError]) -> DataError:
    """Why files are none; what would describe them are options that an import alone has."""
    from cq.ingest.source import Unrecognised

    if not errors:
        return DataError(f"{path} holds neither trades nor bars")
    if not isinstance(error := errors[-1], Unrecognised):
        return error
    advice = f"`cq lake import {error.path}` takes more, and --data the lake's folder then"
    return UnknownLayout(error.path, f"{error.found}; {advice}")


def tape_of_lake(lake: Lake, seed: int, trades_per_minute: float, source: str) -> Tape:
    """Each symbol's real trades where the lake has them, else trades made of its finest bars."""
    strips: dict[str, Strip] = {}
    notes: list[str] = []
    for symbol, exchange in _owners(lake.stored("trades")):
        if (made := _from_trades(lake, symbol, exchange, notes)) is not None:
            strips[symbol] = made
    bars = lake.stored("ohlcv")
    for symbol, exchange in _owners(bars):
        if symbol in strips:
            continue
        mine = bars.filter(pl.col("symbol") == symbol, pl.col("exchange") == exchange)
        finest = min(mine["interval"], key=interval_ns)
        bar_strip = _from_bars(lake, symbol, exchange, finest, seed, trades_per_minute, notes)
        if bar_strip is not None:
            strips[symbol] = bar_strip
    if not strips:
        why = f" that a market can be made of ({'; '.join(notes)})" if notes else ""
        raise DataError(
            f"{source} holds neither trades nor bars{why}; "
            "fetch some with `cq lake ingest SYMBOL`, or use --data generated"
        )
    listings = {symbol: strip.listing for symbol, strip in sorted(strips.items())}
    return Tape(listings, strips, seed, source=source, notes=tuple(notes))


def _owners(stored: pl.DataFrame) -> Iterable[tuple[str, str]]:
    """One exchange a symbol: Mercado Bitcoin where it has it, else the first by name."""
    pairs = stored.select("symbol", "exchange").unique()
    pairs = pairs.sort(pl.col("exchange") != HOME, "exchange")
    return pairs.unique("symbol", keep="first", maintain_order=True).sort("symbol").iter_rows()


def _from_bars(
    lake: Lake,
    symbol: str,
    exchange: str,
    interval: str,
    seed: int,
    trades_per_minute: float,
    notes: list[str],
) -> BarsStrip | None:
    rows = lake.bars(symbol, interval, exchange=exchange).collect()
    tick = _tick(rows[name].to_numpy() for name in _PRICES)
    rows = _told(rows, dict.fromkeys(_PRICES, tick), f"{symbol}: {{}} of its bars", notes)
    if rows.is_empty():
        return None
    prices = {name: rows[name].to_numpy() for name in _PRICES}
    ticks = {name: _counted(values, tick) for name, values in prices.items()}
    stated = rows["volume"].to_numpy()
    volume = _counted(np.where(stated < _MOST, stated, 0.0), Decimal(1) / UNIT)
    bars = BarArrays(rows["ts"].to_numpy(), **ticks, volume=volume)
    minutes = interval_ns(interval) / interval_ns("1m")
    strip = BarsStrip(listing(symbol, tick), bars, interval, seed, trades_per_minute * minutes)
    notes.append(f"{symbol}: trades made of {len(bars):,} bars of {interval} from {exchange}")
    if left_out := strip.unsayable - int((stated == 0).sum()):
        notes.append(
            f"{symbol}: {left_out:,} bars have too little volume for a trade at each of their "
            "prices, or too much to be counted in 1e-8, and are left out"
        )
    return strip


def _from_trades(lake: Lake, symbol: str, exchange: str, notes: list[str]) -> TradesStrip | None:
    owner = {"exchange": exchange, "symbol": symbol}
    rows = collected(
        rows_of(lake.root, lake.layouts[TRADES.name], TRADES, owner)
        .filter(pl.col("symbol") == symbol, pl.col("exchange") == exchange)
        .select("ts", "price", "size", "side", tid=pl.col("trade_id").cast(pl.Int64, strict=False))
        .sort("ts", "tid", maintain_order=True),
        lake.root,
    )
    tick = _tick([rows["price"].to_numpy()])
    steps = {"price": tick, "size": Decimal(1) / UNIT}
    rows = _told(rows, steps, f"{symbol}: {{}} of its trades", notes)
    if rows.is_empty():
        return None
    tid = rows["tid"].fill_null(0).to_numpy()
    if rows["tid"].null_count() or not (np.diff(tid) == 1).all() or tid[:1].sum() < 1:
        notes.append(f"{symbol}: the ids of its trades have gaps; they are counted anew from 1")
        tid = np.arange(1, len(rows) + 1, dtype=np.int64)
    trades = TradeArrays(
        rows["ts"].to_numpy(),
        tid,
        _counted(rows["price"].to_numpy(), tick),
        _counted(rows["size"].to_numpy(), Decimal(1) / UNIT),
        np.where((rows["side"] == "buy").to_numpy(), BUY, SELL).astype(np.int64),
    )
    notes.append(f"{symbol}: {len(trades):,} real trades from {exchange}")
    return TradesStrip(listing(symbol, tick), trades)


def _tick(columns: Iterable[Floats]) -> Decimal:
    """The coarsest power of ten, 1 at most and 1e-8 at least, that every price is a multiple of."""
    found = 0
    for values in columns:
        while found < 8 and not (np.round(values * 10.0**found) / 10.0**found == values).all():
            found += 1
    return Decimal(1).scaleb(-found)


def _told(
    rows: pl.DataFrame, steps: Mapping[str, Decimal], which: str, notes: list[str]
) -> pl.DataFrame:
    """The rows whose values can be told in steps; what cannot is left out, and that is noted."""
    counts = [(pl.col(name) * float(1 / step)).round() for name, step in steps.items()]
    found = rows.filter(one.is_between(1, _MOST * UNIT) for one in counts)
    if left_out := len(rows) - len(found):
        names = " or ".join(("price", "size") if "size" in steps else ("price",))
        said = f"have a {names} below 1e-8 or too large to be counted, and are left out"
        notes.append(f"{which.format(f'{left_out:,}')} {said}")
    return found


def _counted(values: Floats, step: Decimal) -> Ints:
    """How many steps each value is, to the nearest."""
    counted: Ints = np.rint(values * float(1 / step)).astype(np.int64)
    return counted
