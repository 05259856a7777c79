"""`cq lake vacuum`: remove what nobody needs any more."""

from __future__ import annotations

import click

from cq.cli.app import App
from cq.cli.lake_status import size
from cq.cli.output import note, print_json, print_table
from cq.utils.clock import now_ns

COLUMNS = ("kind", "what", "files", "size")


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def vacuum(app: App, *, dry_run: bool, as_json: bool) -> None:
    """Remove leftovers: of killed processes, empty folders, old files in quarantine, free locks.

    Reading and writing go on meanwhile; what is in use stays. It may be killed at any moment: the
    next run completes it. The settings retention.quarantine_days and retention.orderbook_days say
    how long quarantine and order books are kept (30 days, and for ever).
    """
    from cq.lake.vacuum import vacuum as run

    kept = app.settings.retention.model_dump()
    gone = run(app.found_lake, now_ns=now_ns(), dry_run=dry_run, **kept)
    if as_json:
        found = [one.as_dict() for one in gone]
        print_json({"lake": str(app.lake.root), "dry_run": dry_run, "removed": found})
    elif gone:
        rows = [(one.kind, one.what, one.files, size(one.bytes)) for one in gone]
        print_table(COLUMNS, rows, "what would go" * dry_run)
    else:
        note("nothing to remove")
