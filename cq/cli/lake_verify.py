"""`cq lake verify`: are the files what they were when they were written?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.lake_sql import refresh
from cq.cli.lake_status import size
from cq.cli.output import note, print_json
from cq.cli.symbols import in_lake, symbols_argument
from cq.errors import CheckFailed
from cq.utils.clock import now_ns
from cq.utils.settings import DATASETS

if TYPE_CHECKING:
    from cq.lake.quarantine import Quarantined
    from cq.lake.verify import Damaged, Verification


@click.command()
@symbols_argument
@click.option(
    "--dataset", "datasets", multiple=True, type=click.Choice(DATASETS), help="Only this dataset."
)
@click.option(
    "--quarantine",
    "moves",
    is_flag=True,
    help="Move damaged files to quarantine/ in the lake; save what can be read of them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def verify(
    app: App, symbols: tuple[str, ...], datasets: tuple[str, ...], *, moves: bool, as_json: bool
) -> None:
    """Hash every file again, and name those that are not what they were when they were written.

    All of them by default, or those of SYMBOLS, e.g. `cq lake verify BTC-BRL --dataset ohlcv`.
    With `--quarantine` the damaged ones are moved away, so that the rest can be read; what they
    held counts as lost until `cq lake ingest` has fetched it again (`select * from quarantine`).
    Ends in exit code 1 while a damaged file is in its place.
    """
    from cq.lake.quarantine import quarantine
    from cq.lake.verify import verify as verified

    symbols = in_lake(app, symbols)
    found = verified(app.lake, symbols, datasets)
    moved = quarantine(app.lake, found.damaged, now_ns=now_ns()) if moves else []
    left = [one for one in found.damaged if one.path.exists()] if moves else list(found.damaged)
    say(found, moved, left, as_json=as_json)
    if moved:
        refresh(app)
    if left:
        ends = "check its permissions" if all(one.closed for one in left) else ADVICE
        raise CheckFailed(f"{len(left)} of {found.files:,} files damaged; {ends}")


ADVICE = "move them away with `cq lake verify --quarantine`, then fetch again what they held"


def say(
    found: Verification, moved: list[Quarantined], left: list[Damaged], *, as_json: bool
) -> None:
    """What was looked at, and what of it is damaged or was moved away."""
    if as_json:
        print_json(
            {
                "files": found.files,
                "bytes": found.bytes,
                "seconds": found.seconds,
                "foreign": found.foreign,
                "damaged": [one.as_dict() for one in left],
                "quarantined": [one.as_dict() for one in moved],
            }
        )
        return
    for one in left:
        click.echo(f"{one.path}: {one.problem}")
    for gone in moved:
        rows = "an unknown number of" if gone.rows is None else f"{gone.rows:,}"
        click.echo(f"{gone.file}: {gone.problem}; held {rows} rows, {gone.saved:,} saved")
    if moved:
        note("what they held counts as lost; `cq lake ingest` fetches it again")
    speed = f"{size(found.bytes)} in {found.seconds:.1f} s"
    others = f", {found.foreign:,} of them not written by cq" if found.foreign else ""
    note(f"{found.files:,} files looked at{others}: {speed}")
