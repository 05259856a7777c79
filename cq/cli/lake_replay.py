"""`cq lake replay`: recordings into the lake."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import click

from cq.cli import feeds
from cq.cli.app import App
from cq.cli.output import note
from cq.errors import CqError, DataError
from cq.utils.clock import now_ns


class Speed(click.FloatRange):
    """A number above 0; click's own range lets `nan` pass."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        speed = super().convert(value, param, ctx)
        if not isfinite(speed):
            self.fail(f"{value!r} is no speed; expected a number above 0, such as 60", param, ctx)
        return speed


def _unread(problems: list[DataError], files: int) -> CqError | None:
    """What is wrong with files as one error; of several each is told before."""
    if len(problems) < 2:
        return problems[0] if problems else None
    for problem in problems:
        note(str(problem))
    return DataError(f"{len(problems)} of {files} files could not be read to their end")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--speed",
    type=Speed(),
    help="Seconds of the recording in one; default: as fast as possible.",
)
@click.option("--symbol", help="BASE-QUOTE of a capture that does not say it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.pass_obj
def replay(app: App, /, files: tuple[Path, ...], **options: Any) -> None:
    """Play recordings (FILES, or folders of them) into the lake, as the live stream would have.

    The same recording gives the same files, e.g. `cq lake replay recordings --speed 60`. Captures
    of others that `cq lake import` knows are played too, file by file: a folder stands for the
    recordings in it. What is damaged stops nothing else; the exit code is 3 then.
    """
    from cq.cli.lake_sql import refresh
    from cq.execution.stopping import Stopped, until_told
    from cq.ingest.pieces import Request
    from cq.ingest.playback import Pace, Playing, runs_in
    from cq.utils import log

    log.configure(app.settings)
    runs, captures = runs_in(files)
    app.lake.prepare()
    error: CqError | None = None
    with until_told() as told:
        pace = Pace(options["speed"], told.pause)
        playing = Playing(app.lake, feeds.rotation(app), pace, told_to_stop=told.is_set)
        asked = Request("trades", now_ns(), symbol=options["symbol"],
                        default_timezone=app.settings.timezone)  # fmt: skip
        try:
            with suppress(Stopped):
                for run in runs:
                    playing.recording(run, feeds.reader_of)
                for path in captures:
                    playing.capture(path, asked)
        except CqError as failed:
            error = failed
        stopped = told.is_set()
    error = error or _unread(playing.unread, len(captures) + sum(len(run) for run in runs))
    feeds.say(
        app.lake, playing.landed, playing.tally, error,
        as_json=options["as_json"], stopped=stopped, unread=[str(one) for one in playing.unread],
    )  # fmt: skip
    for path in playing.cut:
        note(f"{path} ends in the middle; what is whole of it was played")
    if error is not None:
        raise error
    if stopped:
        note("stopped; the same command plays it from the beginning, and nothing lands twice")
    if not app.lake.catalog.exists():
        refresh(app)
