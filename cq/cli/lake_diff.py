"""`cq lake diff` and `cq lake fingerprint`: what was read, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.output import note, print_json, print_table
from cq.cli.periods import SINCE, period_of
from cq.cli.symbols import meant, symbols_argument
from cq.errors import CheckFailed, DataError, LakeUnwritable, NoSuchFile, UsageError
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.lake import Lake
    from cq.lake.diff import DayDiff
    from cq.lake.evidence import Question
    from cq.lake.fingerprint import Fingerprint

KINDS = ("only in A", "only in B", "other values")
SHOWN = 40
"""Lines of days, and of examples, that a table holds at most."""


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--dataset", "datasets", multiple=True, help="Only this one; may be given often.")
@click.option("--symbol", "symbols", multiple=True, help="Only this one; may be given often.")
@click.option("--interval", help="Only bars of this interval.")
@click.option("--since", metavar="TIME", help="First day (or instant), UTC.")
@click.option("--until", metavar="TIME", help="Where to stop; this instant is not in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def diff(
    app: App,
    a: str,
    b: str,
    datasets: tuple[str, ...],
    symbols: tuple[str, ...],
    interval: str | None,
    since: str | None,
    until: str | None,
    *,
    as_json: bool,
) -> None:
    """Say which rows differ between A and B: folders of lakes, fingerprints, or runs of backtests.

    Two lakes are compared row by row: bars, trades, books, orders and fills, or the datasets that
    are named. A fingerprint tells which days or months differ, and which rows, where the lake
    still has the files that it names. Ends in exit code 1 when something differs.

    Try: cq lake diff runs/20260131T120000Z-crossover-1a2b3c lake
    """
    from cq.lake.diff import check_names, words_of
    from cq.lake.evidence import Question
    from cq.lake.lake import moment
    from cq.lake.windows import FOREVER

    zone = app.settings.timezone
    start, end = period_of(since, until, zone, SINCE)
    sides = opened(a), opened(b)
    known = words_of(sides, "symbol") if symbols else ()
    asked = Question(
        symbols=meant(symbols, app.settings.quote, known),
        interval=interval,
        start=moment(start, 0),
        end=moment(end, FOREVER),
    )
    check_names(sides, asked)
    found = list(_differences(*sides, asked, datasets))
    if as_json:
        print_json({"a": str(a), "b": str(b), "differences": [one.as_dict() for one in found]})
    else:
        _print(found)
    if found:
        raise CheckFailed(f"{a} and {b} differ in {_count(found)}")
    note(f"{a} and {b} hold the same rows")


def opened(address: str) -> Lake | Fingerprint:
    """The lake or the fingerprint at a path, or the lake at an address."""
    from cq.lake import DATASETS, Lake
    from cq.lake.fingerprint import load

    path = Path(address.removeprefix("file://"))
    if path.is_file():
        return load(path)
    if (path / "data.json").is_file():
        return load(path / "data.json")
    if "://" in address or any((path / name).exists() for name in ("lake.json", *DATASETS)):
        return Lake(address)
    if not path.exists():
        raise NoSuchFile(path)
    raise DataError(
        f"{path} is no lake, no fingerprint and no run; expected a folder with a lake.json or a "
        "data.json, or a file that `cq lake fingerprint --out FILE` wrote"
    )


def _differences(
    a: Lake | Fingerprint, b: Lake | Fingerprint, asked: Question, datasets: Sequence[str]
) -> Iterator[DayDiff]:
    from cq.lake import Lake
    from cq.lake.diff import between_lakes, between_prints, since_then

    if isinstance(a, Lake) and isinstance(b, Lake):
        yield from between_lakes(a, b, asked, datasets)
        return
    if datasets:
        raise UsageError("--dataset chooses among those of two lakes; a fingerprint has its own")
    if isinstance(b, Lake):
        assert not isinstance(a, Lake)
        found = since_then(a, b)
    elif isinstance(a, Lake):
        found = (one.swapped() for one in since_then(b, a))
    else:
        found = between_prints(a, b)
    yield from (one for one in found if one.within(asked))


def _print(found: Sequence[DayDiff]) -> None:
    if not found:
        return
    columns = ("dataset", "series", "day", "rows in A", "rows in B", *KINDS, "columns")
    print_table(
        columns,
        [
            (
                one.dataset,
                str(one.owner),
                one.period,
                *one.rows,
                *(one.kinds.get(kind, 0) if one.kinds else None for kind in KINDS),
                ", ".join(f"{name} {count}" for name, count in one.columns.items()) or None,
            )
            for one in found[:SHOWN]
        ],
    )
    if len(found) > SHOWN:
        note(f"and {len(found) - SHOWN:,} more; --json tells all")
    examples = [(one, row) for one in found for row in one.examples]
    for one, row in examples[:SHOWN]:
        click.echo(f"{one.dataset} {one.owner}, {_example(row)}")


def _example(row: Mapping[str, Any]) -> str:
    """One row in words: its key, and what A and B hold."""
    key = {name: value for name, value in row.items() if name not in ("kind", "a", "b")}
    if isinstance(key.get("ts"), int):
        key["ts"] = f"{iso(key['ts'])} ({key['ts']})"
    sides = [
        f"{side.upper()}: " + ", ".join(f"{name} {value}" for name, value in row[side].items())
        for side in ("a", "b")
        if row.get(side)
    ]
    said = ", ".join(f"{name} {value}" for name, value in key.items())
    return f"{row['kind']}: {said}" + "".join(f"; {side}" for side in sides)


def _count(found: Sequence[DayDiff]) -> str:
    rows = sum(sum(one.kinds.values()) for one in found)
    blocks = [one for one in found if not one.kinds]
    said = [f"{rows:,} rows"] if rows else []
    said += [f"{len(blocks):,} blocks whose rows are no longer at hand"] if blocks else []
    return " and ".join(said)


@click.command()
@symbols_argument
@click.option("--view", default="bars", show_default=True, help="A view or a dataset.")
@click.option("--interval", help="Bars of this interval, made where it is not stored.")
@click.option("--exchange", help="Where a symbol is stored from several.")
@click.option("--since", metavar="TIME", help="First day (or instant), UTC.")
@click.option("--until", metavar="TIME", help="Where to stop; this instant is not in.")
@click.option("--where", metavar="SQL", help="Only rows that hold this, such as 'volume > 0'.")
@click.option("--by", type=click.Choice(["day", "month"]), default="day", help="Size of a block.")
@click.option("--out", type=click.Path(path_type=Path), help="A file to keep it in, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_obj
def fingerprint(
    app: App,
    symbols: tuple[str, ...],
    view: str,
    interval: str | None,
    exchange: str | None,
    since: str | None,
    until: str | None,
    where: str | None,
    by: str,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Name exactly what a query over SYMBOLS (all by default) reads: files and digests of rows.

    Whatever files the rows lie in, the digests are the same; `cq lake diff` compares them later,
    e.g. `cq lake fingerprint BTC-BRL --interval 1h --out btc.json`.
    """
    from cq.lake.windows import words_in

    zone = app.settings.timezone
    start, end = period_of(since, until, zone, SINCE)
    lake = app.found_lake
    known = words_in(lake, "symbol", exchange=exchange) if symbols else ()
    taken = lake.fingerprint(
        view, where, symbols=meant(symbols, app.settings.quote, known), interval=interval,
        exchange=exchange, start=start, end=end, by=by,
    )  # fmt: skip
    if out is not None:
        try:
            out.write_text(taken.as_json(), encoding="utf-8")
        except OSError as error:
            raise LakeUnwritable(out, error.strerror or str(error)) from error
    if as_json:
        print_json(taken.as_dict())
    else:
        said = taken.as_dict()["series"]
        names = ("exchange", "symbol", "interval", "rows", "digest")
        print_table(names, [tuple(one[name] for name in names) for one in said])
        click.echo(f"{taken.rows:,} rows in {len(taken.files):,} files, digest {taken.digest}")
