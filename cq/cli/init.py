"""`cq init`: a new project folder, made from the files that come with cq."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from cq.cli.output import note


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Make a project in FOLDER: settings, SQL views, an example strategy, e.g. `cq init mine`.

    In a project that is there already, files that cq made and nobody changed are brought up to
    date with this version; yours are named and left as they are.
    """
    from cq.project import create

    done = create(folder)
    counts = {"made": done.made, "brought up to date": done.renewed, "of yours kept": done.kept}
    said = [
        f"{len(paths)} file{'s' * (len(paths) > 1)} {what}"
        for what, paths in counts.items()
        if paths
    ]
    note(f"{folder}: {', '.join(said) or 'nothing to do'}")
    for path in done.kept:
        note(f"  yours: {path.relative_to(folder)}")
    if folder / "configs" / "default.yaml" in done.made:
        place = shlex.quote(str(folder))
        note(f"next: cd {place} && cq lake ingest BTC-BRL --interval 1h --since 2026-01-01")
