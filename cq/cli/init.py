"""`cq init`: a new project folder, made from the files that come with cq."""

from __future__ import annotations

from pathlib import Path

import click

from cq.cli.output import note


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Make a project in FOLDER: settings, SQL views, an example strategy, e.g. `cq init mine`.

    Files that are there already are left as they are.
    """
    from cq.project import create

    made, kept = create(folder)
    note(f"{folder}: {len(made)} files made" + (f", {len(kept)} left as they were" if kept else ""))
    note(f"next: cd {folder} && cq lake ingest BTC-BRL --interval 1h --since 2026-01-01")
