"""A dataset read a piece at a time: whose rows there are, in which spans, and the rows themselves.

What is in memory at once is a window: a year of bars, a month of trades, a day of books.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from cq.errors import UnknownSymbol
from cq.lake.datasets import Dataset
from cq.lake.fingerprint import Owner
from cq.lake.layout import Part
from cq.lake.source import attempt, look, rows_of, scan

if TYPE_CHECKING:
    from cq.lake.lake import Lake

FOREVER: Final = 2**63 - 1
SPANS: Final = {"trades": "M", "orderbook_l2": "D"}
"""As numpy names them; of the others it is a year."""

Window = tuple[int, int]


def owners_in(lake: Lake, contract: Dataset) -> list[Owner]:
    """Whose rows a dataset holds; nobody in particular where an owner may be any text."""
    layout = lake.layouts[contract.name]
    if contract.free_form:
        return [Owner()] if layout.files(lake.root) else []
    if set(contract.owner) <= set(layout.fields):
        return [Owner(**one) for one in layout.owners(lake.root)]
    rows = rows_of(lake.root, layout, contract).select(contract.owner).unique()
    return [Owner(**one) for one in rows.sort(contract.owner).collect().iter_rows(named=True)]


def check_known(name: str, asked: Iterable[str], known: Collection[str]) -> None:
    """UnknownSymbol where one of the symbols, intervals or exchanges asked for is not known."""
    for one in asked:
        if one not in known:
            what = one if name == "symbol" else f"{name} {one}"
            raise UnknownSymbol(what, known, "`cq lake status` lists what there is")


def words_in(
    lake: Lake, name: str, datasets: Collection[str] = (), exchange: str | None = None
) -> set[str]:
    """Every symbol, interval or exchange that some dataset holds rows of.

    Of these `datasets` only, and of one exchange, where they are named.
    """
    found: set[str] = set()
    for one in datasets or lake.layouts:
        stored = lake.stored(one)
        mine = stored if exchange is None else stored.filter(pl.col("exchange") == exchange)
        found.update(mine[name].drop_nulls())
    return found


def windows(lake: Lake, contract: Dataset, owner: Owner, start: int, end: int) -> list[Window]:
    """Spans of [start, end) that may hold rows of `owner`; the same spans in every lake."""
    layout, span = lake.layouts[contract.name], SPANS.get(contract.name, "Y")
    parts = layout.files(lake.root, named(owner, contract), start, _open(end))
    if not parts:
        return []
    if layout.depth:
        units = {unit for when in {part.when for part in parts} for unit in _units(when, span)}
    else:
        time = pl.col(contract.time)
        rows = rows_of(lake.root, layout, contract, named(owner, contract))
        first, last = rows.select(first=time.min(), last=time.max()).collect().row(0)
        if first is None:
            return []
        units = set(np.arange(_unit(first, span), _unit(last, span) + 1))
    edges = sorted((_ns(unit), _ns(unit + 1)) for unit in units)
    clipped = ((max(since, start), min(until, end)) for since, until in edges)
    return [(since, until) for since, until in clipped if since < until]


def rows_in(
    lake: Lake,
    contract: Dataset,
    owner: Owner,
    window: Window,
    files: Sequence[Part] | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The rows of `owner` in a window, in no order, whatever compaction does meanwhile.

    Of these `files` and with these `columns`, where some are named.
    """
    layout, fixed = lake.layouts[contract.name], named(owner, contract)
    told_apart = layout.fields if files is None else ()
    time = pl.col(contract.time)
    conditions = [
        pl.col(name).eq_missing(pl.lit(value, pl.String))
        for name, value in fixed.items()
        if name not in told_apart
    ]
    conditions += [time >= window[0], time < window[1]]

    def read(parts: Sequence[Part]) -> pl.DataFrame:
        if not parts:
            return contract.empty().select(columns or pl.all())
        rows = scan([part.path for part in parts], contract).filter(*conditions)
        return (rows if columns is None else rows.select(columns)).collect()

    if files is not None:
        return attempt(lambda: read(files), files)
    return look(lambda: layout.files(lake.root, fixed, window[0], _open(window[1])), read)


def named(owner: Owner, contract: Dataset) -> dict[str, str | None]:
    """The owner's values that a dataset has."""
    if contract.free_form:
        return {}
    return {name: value for name, value in owner._asdict().items() if name in contract.owner}


def _units(when: Sequence[int], span: str) -> Iterator[np.datetime64]:
    """The spans that a calendar folder touches."""
    year, month, day = (*when, 1, 1)[:3]
    unit = "YMD"[min(len(when), 3) - 1]
    folder = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}").astype(f"M8[{unit}]")
    first = folder.astype(f"M8[{span}]")
    yield from np.arange(first, max((folder + 1).astype(f"M8[{span}]"), first + 1))


def _unit(ts: int, span: str) -> Any:
    return np.datetime64(ts, "ns").astype(f"M8[{span}]")


def _ns(unit: np.datetime64) -> int:
    return int(unit.astype("M8[ns]").astype(np.int64))


def _open(end: int) -> int | None:
    return None if end == FOREVER else end
