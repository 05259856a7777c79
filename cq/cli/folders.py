"""The folder of results that `--out` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cq.errors import UsageError


class _Folder(click.Path):
    """A path that says something: an empty one would be the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            raise UsageError("--out: found an empty name; name a folder, or leave --out out")
        return super().convert(value, param, ctx)


OUT = click.option(
    "--out", type=_Folder(path_type=Path), help="Folder of the results; runs/ID by default."
)


def refuse_others(out: Path | None, what: str) -> None:
    """UsageError where the named folder holds what is not of `what`; before any work is done."""
    if out is not None:
        from cq.backtest import folder

        folder.refuse_others(out, what)
