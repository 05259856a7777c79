"""Damaged files out of the way: moved to `quarantine/`, what they held noted as lost.

What can still be read for certain is written into the lake again. The note is there before the
file is gone, so a kill in between leaves too much noted as lost, never too little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from cq.lake import disk, footer, locks, parquet
from cq.lake.damage import collected
from cq.lake.datasets import COVERAGE, LOST, OHLCV, Dataset, dataset
from cq.lake.lake import Lake
from cq.lake.layout import Layout
from cq.lake.source import scan
from cq.lake.template import OWNERS, TIMES, safe
from cq.lake.verified import Verified, facts_of
from cq.lake.verify import Damaged, look
from cq.lake.walk import ANCHOR_FILE
from cq.utils.time import bar_end, to_ns

FOLDER: Final = "quarantine"
FAR: Final = 2**62
"""In the year 2116: the end of what nobody knows the end of."""

BATCH: Final = 16
"""Row groups that are written again together."""


@dataclass(frozen=True)
class Quarantined:
    """One file that was moved away, what it held as far as that is known, and what was saved."""

    dataset: str
    exchange: str | None
    symbol: str | None
    interval: str | None
    file: str
    """Where it lies now, relative to the lake."""
    problem: str
    rows: int | None
    start_ts: int
    end_ts: int
    saved: int = 0
    """Rows of it that are in the lake again."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def quarantine(
    lake: Lake, damaged: Sequence[Damaged], *, now_ns: int, wait_s: float = 10
) -> list[Quarantined]:
    """Move damaged files away; those that may not be read, or are whole by now, stay."""
    done: list[Quarantined] = []
    for one in damaged:
        if one.closed:
            continue
        if one.path.name == ANCHOR_FILE:
            _moved(lake.root, one.path)
            continue
        moved = _away(lake, one, now_ns, wait_s)
        done += [] if moved is None else [_saved(lake, moved, now_ns, wait_s)]
    lake.prepare()
    return done


def _away(lake: Lake, one: Damaged, now_ns: int, wait_s: float) -> Quarantined | None:
    """Note what a file held, and move it, while nobody else writes there."""
    contract, layout = dataset(one.dataset), lake.layouts[one.dataset]
    told = layout.told(one.path.parent.relative_to(lake.root))
    lock = locks.of_folder(lake.root, layout, told)
    with locks.held(lock, f"{contract.name} of {told.get('symbol', 'a damaged file')}", wait_s):
        _, still = look(lake, one.path, one.dataset)
        if still is None:
            return None
        start, end, rows = _range(lake, contract, layout, one.path, told)
        exchange, symbol, interval = (_owner(told, name) for name in OWNERS)
        place = _place(lake.root, one.path)
        moved = Quarantined(
            one.dataset,
            exchange,
            symbol,
            interval,
            file=str(place.relative_to(lake.root)),
            problem=still.problem,
            rows=rows,
            start_ts=start,
            end_ts=end,
        )
        _note(lake, moved, now_ns, wait_s)
        _moved(lake.root, one.path, place)
    return moved


def _owner(told: Mapping[str, str], name: str) -> str | None:
    value = told.get(name)
    return None if value == safe(None) else value


def _range(
    lake: Lake, contract: Dataset, layout: Layout, path: Path, told: Mapping[str, str]
) -> tuple[int, int, int | None]:
    """From when to when a file held rows, and how many.

    What was known of it when it was whole counts most, then its footer, where a broken page says
    that it is not the footer that is wrong; else all that its folder may hold.
    """
    known = Verified.read(lake.root).of(path)
    if known is None and any(one is None for one in footer.row_groups(path)):
        facts = facts_of(path, contract.time)
        known = facts if facts and not footer.misplaced(lake.root, layout, contract, path) else None
    if known is None:
        return *calendar_range(told), None
    if known.first is None or known.last is None:
        return *calendar_range(told), known.rows
    return known.first, _end(contract, known.last, told), known.rows


def _end(contract: Dataset, last: int, told: Mapping[str, str]) -> int:
    """Up to where a file knows, whose last row is at `last`."""
    if contract is OHLCV and "interval" in told:
        return bar_end(last, told["interval"])
    return last + 1


def calendar_range(told: Mapping[str, str]) -> tuple[int, int]:
    """What the calendar levels of a folder span; all of time where it has none."""
    levels = [int(told[name]) for name in TIMES if name in told]
    if not levels:
        return 0, FAR
    year, month, day, hour = (levels + [1, 1, 0][len(levels) - 1 :])[:4]
    start = to_ns(datetime(year, month, day, hour, tzinfo=UTC))
    if len(levels) >= 3:
        return start, start + (86_400 if len(levels) == 3 else 3_600) * 10**9
    months = year * 12 + month - 1 + (12 if len(levels) == 1 else 1)
    return start, to_ns(datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC))


def _note(lake: Lake, moved: Quarantined, now_ns: int, wait_s: float) -> None:
    """Write down what is lost; it is later than anything that was asked before.

    Not by way of `Lake.write`: another record that is damaged must not stand in the way.
    """
    mine = [(moved.dataset, moved.interval, moved.start_ts, moved.end_ts)]
    if moved.dataset == LOST.name:
        mine += _all_that_was_asked(lake, moved)
    rows = pl.DataFrame(
        mine,
        schema={name: LOST.schema[name] for name in ("dataset", "interval", "start_ts", "end_ts")},
        orient="row",
    ).with_columns(
        symbol=pl.lit(moved.symbol, pl.String),
        exchange=pl.lit(moved.exchange, pl.String),
        rows=pl.lit(moved.rows, pl.Int64),
        file=pl.lit(moved.file),
        reason=pl.lit(moved.problem),
        lost_ts=pl.lit(max(now_ns, _newest_answer(lake, moved)), pl.Int64),
    )
    layout, owner = lake.layouts[LOST.name], {"exchange": moved.exchange, "symbol": moved.symbol}
    folder = lake.root / layout.folder(owner, moved.start_ts)
    content = parquet.encoded(LOST.conform(rows), required=LOST.required)
    lock = locks.of_folder(lake.root, layout, owner)
    with nullcontext() if moved.dataset == LOST.name else locks.held(lock, "lost", wait_s):
        parquet.place(content, folder, layout.file_name(moved.start_ts, parquet.digest(content)))


def _asked(lake: Lake, moved: Quarantined) -> pl.LazyFrame:
    """What coverage says of the owner, as far as it can be read."""
    named = {"exchange": moved.exchange, "symbol": moved.symbol}
    owner = {name: value for name, value in named.items() if value is not None}
    paths = [
        part.path
        for part in lake.layouts[COVERAGE.name].files(lake.root, owner)
        if look(lake, part.path, COVERAGE.name)[1] is None
    ]
    return scan(paths, COVERAGE) if paths else COVERAGE.empty().lazy()


def _newest_answer(lake: Lake, moved: Quarantined) -> int:
    """When the owner was asked for last, by a clock that may have been ahead."""
    found = collected(_asked(lake, moved).select(pl.col("asked_ts").max()), lake.root).item()
    return int(found or 0)


def _all_that_was_asked(lake: Lake, moved: Quarantined) -> list[tuple[str, str | None, int, int]]:
    """Every series of an owner: the record of what it lost is damaged, so all of it may be."""
    series = collected(
        _asked(lake, moved).select("dataset", "interval").unique().sort(pl.all()), lake.root
    )
    return [(name, interval, 0, FAR) for name, interval in series.rows()]


def _place(root: Path, path: Path) -> Path:
    """Where a file goes, beside others of its name that went there before."""
    wanted = root / FOLDER / path.relative_to(root)
    place, number = wanted, 1
    while place.exists():
        number += 1
        place = wanted.with_name(f"{wanted.stem}.{number}{wanted.suffix}")
    return place


def _moved(root: Path, path: Path, place: Path | None = None) -> None:
    place = place or _place(root, path)
    with disk.writing(path.parent):
        disk.make_folder(place.parent)
        disk.replace(path, place)
        disk.sync_folder(place.parent)
        disk.sync_folder(path.parent)


def _saved(lake: Lake, moved: Quarantined, now_ns: int, wait_s: float) -> Quarantined:
    """Write what can be read for certain again; a key that is there by now stays as it is."""
    saved = 0
    for rows in _batches(lake, moved):
        done = lake.write(moved.dataset, rows, source=FOLDER, now_ns=now_ns, wait_s=wait_s)
        saved += done.landed + done.already_there
    return Quarantined(**(asdict(moved) | {"saved": saved}))


def _batches(lake: Lake, moved: Quarantined) -> Iterator[pl.DataFrame]:
    """The proven rows of a file, in pieces; none where they are not of its folder or dataset."""
    contract, layout = dataset(moved.dataset), lake.layouts[moved.dataset]
    path = lake.root / moved.file
    home = Path(moved.file).relative_to(FOLDER).parent
    batch: list[pl.DataFrame] = []
    for rows in footer.row_groups(path):
        if rows is None or not _fits(rows, contract, layout, home):
            continue
        batch.append(rows.select(*contract.schema))
        if len(batch) == BATCH:
            yield pl.concat(batch)
            batch = []
    if batch:
        yield pl.concat(batch)


def _fits(rows: pl.DataFrame, contract: Dataset, layout: Layout, home: Path) -> bool:
    """Whether rows are of a dataset and belong into a folder."""
    if rows.is_empty() or any(rows.schema.get(n) != kind for n, kind in contract.schema.items()):
        return False
    told = layout.told(home)
    if any(
        safe(value) != told[name]
        for name in contract.owner
        if name in told
        for value in rows[name].unique()
    ):
        return False
    times = pl.col(contract.time)
    ends = rows.select(first=times.min(), last=times.max()).row(0)
    return all(layout.folder(told, ts) == home for ts in ends)
