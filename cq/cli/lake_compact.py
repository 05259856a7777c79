"""`cq lake compact`: many small files into few large ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.lake_status import size
from cq.cli.output import note, print_json, print_table
from cq.cli.symbols import in_lake

if TYPE_CHECKING:
    from cq.lake.compaction import Compacted, Progress

COLUMNS = ("dataset", "series", "folders", "files", "after", "size", "size after", "rows")


@click.command()
@click.argument("datasets", nargs=-1)
@click.option("--symbol", "symbols", multiple=True, help="Only this symbol; may be given again.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def compact(
    app: App, datasets: tuple[str, ...], symbols: tuple[str, ...], *, dry_run: bool, as_json: bool
) -> None:
    """Merge the small files of DATASETS (all by default), e.g. `cq lake compact ohlcv`.

    Rows stay what they are; reading and writing go on meanwhile. It may be ended, or killed, at any
    moment, and be run at any time: a second run finds nothing to do. The sizes are the settings
    compaction.small_mb and compaction.large_mb.
    """
    from cq.lake.compaction import compact as run

    symbols = in_lake(app, symbols)
    limits = app.settings.compaction
    with _progress(quiet=dry_run) as progress:
        done = run(
            app.lake, datasets, symbols, small_mb=limits.small_mb, large_mb=limits.large_mb,
            dry_run=dry_run, progress=progress,
        )  # fmt: skip
    if as_json:
        found = [one.as_dict() for one in done]
        print_json({"lake": str(app.lake.root), "dry_run": dry_run, "folders": found})
    elif rows := _rows(done):
        print_table(COLUMNS, rows, "what would be done; sizes after are guesses" * dry_run)
    else:
        note("nothing to merge: no folder has two small files")
    for one in done:
        if one.left:
            note(f"cq: {one.folder}: {one.left}")


def _rows(done: Sequence[Compacted]) -> list[tuple[object, ...]]:
    """A row for each series: its folders together."""
    series: dict[tuple[str, str], list[Compacted]] = {}
    for one in done:
        if one.rows:
            series.setdefault((one.dataset, " ".join(one.owner.values())), []).append(one)
    return [
        (
            *who,
            len(all_),
            sum(one.files_before for one in all_),
            sum(one.files_after for one in all_),
            size(sum(one.bytes_before for one in all_)),
            size(sum(one.bytes_after for one in all_)),
            sum(one.rows for one in all_),
        )
        for who, all_ in series.items()
    ]


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """A live line on a terminal, a plain line a folder elsewhere; on standard error."""
    if quiet or not sys.stderr.isatty():
        yield (lambda *_: None) if quiet else _line
        return
    from rich.console import Console

    with Console(stderr=True).status("compacting") as live:
        yield lambda one, done, of: live.update(f"{done} of {of} folders: {_name(one)}")


def _line(one: Compacted, done: int, of: int) -> None:
    note(f"{done} of {of}: {_name(one)}, {one.files_before} files → {one.files_after}")


def _name(one: Compacted) -> str:
    """Whose rows, and where; the last folder may be named for them."""
    return " ".join(dict.fromkeys([one.dataset, *one.owner.values(), one.folder.name]))
