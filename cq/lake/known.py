"""What is known of a series: what was asked for and answered, and has not been lost since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from cq.lake.datasets import COVERAGE, LOST, Dataset
from cq.lake.layout import Layout, Part
from cq.lake.source import look, scan
from cq.lake.template import safe

Range = tuple[int, int]


def covered(
    root: Path,
    layouts: Mapping[str, Layout],
    dataset: str,
    exchange: str,
    symbol: str,
    interval: str | None,
) -> list[Range]:
    """The ranges of one series that are known, joined where they touch, oldest first.

    What a damaged file held is not, until it has been asked for again.
    """
    asked = _asked(root, layouts, dataset, exchange, symbol, interval)
    gone = lost(root, layouts, dataset, exchange, symbol, interval)
    if asked.is_empty() or gone.is_empty():
        return joined(asked)
    losses = gone["lost_ts"].unique().sort()
    left: list[Range] = []
    for (before,), rows in asked.group_by(losses.search_sorted(asked["asked_ts"], side="left")):
        holes = joined(gone.filter(pl.col("lost_ts").is_in(losses[before:].to_list())))
        left += [one for known in joined(rows) for one in gaps(known, holes)]
    return apart(left)


def still_lost(
    root: Path,
    layouts: Mapping[str, Layout],
    dataset: str,
    exchange: str,
    symbol: str,
    interval: str | None,
) -> list[Range]:
    """The ranges of one series that damaged files held and nobody asked for again since.

    None of them begins before the first that was ever asked for.
    """
    asked = _asked(root, layouts, dataset, exchange, symbol, interval)
    gone = lost(root, layouts, dataset, exchange, symbol, interval)
    if gone.height and asked.height:  # where a file did not tell from when on
        begun = asked["start_ts"].min()
        gone = gone.with_columns(pl.max_horizontal("start_ts", pl.lit(begun))).filter(
            pl.col("start_ts") < pl.col("end_ts")
        )
    left: list[Range] = []
    for (when,), rows in gone.group_by("lost_ts"):
        again = joined(asked.filter(pl.col("asked_ts") > when))
        left += [one for hole in joined(rows) for one in gaps(hole, again)]
    return apart(left)


def _asked(
    root: Path,
    layouts: Mapping[str, Layout],
    dataset: str,
    exchange: str,
    symbol: str,
    interval: str | None,
) -> pl.DataFrame:
    """Every range of one series that was asked for: start_ts, end_ts, asked_ts."""
    wanted = [
        pl.col("dataset") == dataset,
        pl.col("exchange") == exchange,
        pl.col("symbol") == symbol,
        pl.col("interval").eq_missing(pl.lit(interval, pl.String)),
    ]
    owner = {"exchange": exchange, "symbol": symbol}
    return _ranges(root, layouts[COVERAGE.name], COVERAGE, [owner], wanted, "asked_ts")


def lost(
    root: Path,
    layouts: Mapping[str, Layout],
    dataset: str,
    exchange: str,
    symbol: str,
    interval: str | None,
) -> pl.DataFrame:
    """Every range of one series that a damaged file held: start_ts, end_ts, lost_ts.

    A file that does not tell whose rows it held counts for every series of its dataset.
    """
    mine = {"exchange": exchange, "symbol": symbol, "interval": interval}
    owners = [
        {"exchange": one, "symbol": other}
        for one in dict.fromkeys((safe(exchange), safe(None)))
        for other in dict.fromkeys((safe(symbol), safe(None)))
    ]
    wanted = [
        pl.col("dataset") == dataset,
        *(
            pl.col(name).is_null() | pl.col(name).eq_missing(pl.lit(value, pl.String))
            for name, value in mine.items()
        ),
    ]
    layout = layouts[LOST.name]
    if not layout.owners(root):  # as good as always
        owners = []
    return _ranges(root, layout, LOST, owners, wanted, "lost_ts")


def _ranges(
    root: Path,
    layout: Layout,
    contract: Dataset,
    owners: Sequence[Mapping[str, str]],
    wanted: Sequence[pl.Expr],
    when: str,
) -> pl.DataFrame:
    """start_ts, end_ts and `when` of the rows of some owners that are `wanted`."""
    columns = ("start_ts", "end_ts", when)

    def named() -> list[Part]:
        return list(dict.fromkeys(part for one in owners for part in layout.files(root, one)))

    def read(parts: Sequence[Part]) -> pl.DataFrame:
        if not parts:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))
        rows = scan([part.path for part in parts], contract).filter(*wanted)
        return rows.select(columns).collect()

    return look(named, read)


def joined(ranges: pl.DataFrame) -> list[Range]:
    """Ranges (`start_ts`, `end_ts`) as the fewest that cover the same."""
    return apart(zip(ranges["start_ts"].to_list(), ranges["end_ts"].to_list(), strict=True))


def apart(ranges: Iterable[Range]) -> list[Range]:
    """Ranges as the fewest that cover the same, oldest first."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def gaps(asked: Range, known: Iterable[Range]) -> list[Range]:
    """What of `asked` is in none of `known`, which are apart and oldest first."""
    found, start = [], asked[0]
    for known_start, known_end in known:
        if start < min(known_start, asked[1]):
            found.append((start, min(known_start, asked[1])))
        start = max(start, known_end)
    if start < asked[1]:
        found.append((start, asked[1]))
    return found
