"""`cq sweep`: one strategy with many parameters, and how much of the best is luck."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.folders import OUT, refuse_others
from cq.cli.output import note, print_json, print_table
from cq.cli.periods import period_of
from cq.cli.quick import importing
from cq.errors import DataError, UsageError
from cq.utils.files import can_write_in

if TYPE_CHECKING:
    from cq.sweeps import SweepResult
    from cq.sweeps.door import Setting

GRID = click.option(
    "--grid",
    multiple=True,
    required=True,
    metavar="NAME=VALUES",
    help="A parameter and its values: fast=5:50:5 (first, last, step), fast=5:50, average=sma,ema; "
    "sizing.fraction, orders.stop_loss, backtest.fees.taker by dotted names. Several times.",
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter that is the same in all trials, as in `cq backtest`.",
)
START = click.option("--start", metavar="TIME", help="First bar, such as 2024-01-31.")
END = click.option("--end", metavar="TIME", help="Where to stop; this bar is not in.")
SORT = click.option(
    "--sort", default="sharpe", show_default=True, metavar="METRIC", help="What makes one the best."
)
SEED = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of everything that is drawn."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@GRID
@click.option("--random", type=int, metavar="N", help="Draw N combinations instead of trying all.")
@click.option(
    "--optuna", type=int, metavar="N", help="Let a TPE sampler propose N, one after the other."
)
@SEED
@SORT
@click.option(
    "--top", type=int, default=10, show_default=True, help="How many of the best to show."
)
@SET
@START
@END
@click.option(
    "--engine", type=click.Choice(("ray", "dask")), help="Spread the trials by Ray or Dask."
)
@click.option("--workers", type=int, help="Threads, or the engine's workers; all cores by default.")
@click.option("--resume", is_flag=True, help="Go on with the same sweep, which was stopped.")
@OUT
@JSON
@click.pass_obj
def sweep(
    app: App,
    file: Path,
    grid: tuple[str, ...],
    random: int | None,
    optuna: int | None,
    seed: int,
    sort: str,
    top: int,
    overrides: tuple[str, ...],
    start: str | None,
    end: str | None,
    engine: str | None,
    workers: int | None,
    resume: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run the strategy in FILE with every combination of parameters.

    Each trial is what `cq backtest` would make of it, to the bit, and a row of the view `runs`.
    Combinations that make no sense (a fast mean slower than the slow one) are skipped and counted.
    Below the best stand the probability that their Sharpe ratio is more than the luck of so many
    tries (DSR), and how often the best of one half of time is among the worse of the other (PBO).

    \b
    Try: cq sweep configs/strategies/crossover_btc.yaml --grid fast=12:96:12 --grid slow=120:720:60
         cq sweep my.yaml --grid fast=5:50 --grid slow=20:500 --random 200 --seed 7
         cq sweep my.yaml --grid sizing.fraction=0.2:1:0.2 --grid orders.stop_loss=0.02,0.05,0.1
    """
    refuse_others(out, "sweep")
    began = datetime.now(UTC)
    with importing():
        from cq.sweeps.door import How, count_of, swept
        from cq.sweeps.space import axes_of
        from cq.sweeps.unfinished import Unfinished

    how = How(random, optuna, seed, sort, top, engine, workers)
    axes = axes_of(grid)
    setting = setting_of(app, file, overrides, start, end)
    if resume and optuna is not None:
        raise UsageError("--resume: a sampler does not go on where it was; leave out --optuna")
    aside = None if optuna is not None else aside_of(app.project / "runs", out, resume=resume)
    kept = Unfinished(aside, resume=resume)
    try:
        with progress_of(count_of(axes, how)) as tick:
            result = swept(setting, axes, how, tick, kept)
    except BaseException as error:  # a stop may come up as any
        if kept.numbers:
            error.add_note(f"{len(kept.numbers):,} trials; go on by the same command with --resume")
        raise
    folder = _write(app, result, began, out)
    kept.finish()
    for warning in result.best[0].warnings:
        note(f"warning: of the best: {warning}")
    if as_json:
        print_json({"folder": str(folder.resolve()), **result.as_json()})
    else:
        _print(result, folder)


def aside_of(runs: Path, out: Path | None, *, resume: bool) -> Path | None:
    """Where trials are kept until all are done: below runs/; nowhere where only --out is writable.

    DataError where nothing is, before any work is done.
    """
    if resume or can_write_in(runs):
        return runs
    if out is None:
        raise DataError(f"{runs} cannot be written; name a folder elsewhere with --out DIR")
    note(f"{runs} cannot be written: a sweep that is stopped cannot go on with --resume")
    return None


def setting_of(
    app: App, file: Path, overrides: tuple[str, ...], start: str | None, end: str | None
) -> Setting:
    """What every trial has in common, from the options of a command."""
    from cq.backtest.bars import Period
    from cq.sweeps.door import Setting, recipe_of

    settings = app.settings
    since, until = period_of(start, end, settings.timezone)
    return Setting(
        app.lake, recipe_of(file, overrides), settings.backtest, Period(since, until),
        settings.quote, note, settings.exclusions,
    )  # fmt: skip


@contextmanager
def progress_of(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many trials are done, on a terminal; nothing elsewhere."""
    with click.progressbar(
        length=total, label="trials", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        yield bar.update


def folder_of(app: App, name: str, what: str, began: datetime, out: Path | None) -> Path:
    """The folder of a sweep: the one that was named, or a new one in runs/."""
    from cq.backtest.result import new_folder

    if out is not None:
        return out
    said = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "strategy"
    return new_folder(app.project / "runs", f"{began:%Y%m%dT%H%M%SZ}-{said}-{what}")


def _write(app: App, result: SweepResult, began: datetime, out: Path | None) -> Path:
    folder = folder_of(app, result.name, "sweep", began, out)
    result.write(folder, began)
    picture = folder / "heat_map.png"
    picture.unlink(missing_ok=True)  # of an older sweep, which may have had two parameters
    if len(result.params) == 2 and result.trials.height > 1:
        from cq.report.sweep_map import write_sweep_map

        write_sweep_map(result, picture)
    return folder


def _print(result: SweepResult, folder: Path) -> None:
    from cq.cli.backtest import near

    shown = ("sharpe", "total_return", "max_dd", "hit_rate", "turnover", "trades")
    metrics = shown if result.sort in shown else (result.sort, *shown)
    rows = [
        [
            one.number, *one.params.values(), *(one.figures[name] for name in metrics),
            one.luck.deflated,
        ]
        for one in result.best
    ]  # fmt: skip
    title = f"{result.name}: {', '.join(result.symbols)}, {result.interval}; by {result.sort}"
    print_table(["trial", *result.params, *metrics, "dsr"], rows, title)
    click.echo("")
    for line in said_of(result):
        click.echo(line)
    picture = folder / "heat_map.png"
    click.echo(f"trials in {near(folder)}" + (f"; see {near(picture)}" if picture.exists() else ""))


def said_of(result: SweepResult) -> list[str]:
    """How many were tried, and what that makes of the best."""
    lines = [f"{result.trials.height:,} trials"]
    for (count, why), what in ((result.skipped, "make no sense"), (result.failed, "failed")):
        if count:
            lines.append(f"combinations that {what}: {count:,}, the first: {why}")
    luck = result.best[0].luck
    if luck.deflated is not None:
        lines.append(
            f"DSR {luck.deflated:.1%}: how sure it is that the best one's true Sharpe ratio lies "
            f"above 0, after {luck.tried:,} were tried (by itself {luck.probabilistic:.1%})"
        )
    if result.overfitting is not None:
        lines.append(
            f"PBO {result.overfitting.probability:.1%}: how often the best of one half of the time "
            "is among the worse half in the other"
        )
    return lines
