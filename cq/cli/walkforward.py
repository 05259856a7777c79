"""`cq walkforward`: parameters chosen on the past, tried on what came after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.folders import OUT, refuse_others
from cq.cli.output import note, print_json, print_table
from cq.cli.quick import importing
from cq.cli.stopping import keeping_nothing
from cq.cli.sweep import (
    END,
    GRID,
    JSON,
    SEED,
    SET,
    SORT,
    START,
    folder_of,
    progress_of,
    setting_of,
)
from cq.errors import UsageError

if TYPE_CHECKING:
    from cq.sweeps.cpcv import CrossValidation
    from cq.sweeps.door import How, Setting
    from cq.sweeps.space import Axis
    from cq.sweeps.walkforward import WalkForward


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@GRID
@click.option(
    "--train", default="180d", show_default=True, metavar="LENGTH",
    help="What parameters are chosen on, such as 26w; a number is so many bars.",
)  # fmt: skip
@click.option(
    "--test",
    default="30d",
    show_default=True,
    metavar="LENGTH",
    help="What each choice is tried on.",
)
@click.option("--anchored", is_flag=True, help="Choose on all the past, not on the last --train.")
@click.option(
    "--purge", default="auto", show_default=True, metavar="BARS",
    help="Cut off the end of what is chosen on; auto: as far as signals look back.",
)  # fmt: skip
@click.option(
    "--cpcv", metavar="GROUPS:TESTED",
    help="Cross-validate instead: 6:2 tests each two of six stretches of time, purged.",
)  # fmt: skip
@click.option("--random", type=int, metavar="N", help="Draw N combinations instead of trying all.")
@SEED
@SORT
@SET
@START
@END
@click.option("--workers", type=int, help="Threads; all cores by default.")
@OUT
@JSON
@click.pass_obj
@keeping_nothing()
def walkforward(
    app: App,
    file: Path,
    grid: tuple[str, ...],
    train: str,
    test: str,
    anchored: bool,
    purge: str,
    cpcv: str | None,
    random: int | None,
    seed: int,
    sort: str,
    overrides: tuple[str, ...],
    start: str | None,
    end: str | None,
    workers: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Choose parameters of the strategy in FILE on the past, and try them on what came after.

    Fold by fold the best combination of the last --train is traded over the next --test; the tests
    are put together to one curve that no choice has seen. Each trial is a row of the view `runs`.

    \b
    Try: cq walkforward configs/strategies/crossover_btc.yaml --grid fast=12:96:12
         cq walkforward my.yaml --grid fast=5:50:5 --train 52w --test 13w --anchored
         cq walkforward my.yaml --grid fast=5:50:5 --cpcv 6:2
    """
    what = "walkforward" if cpcv is None else "cpcv"
    if cpcv is not None:
        _refuse_spans()
    refuse_others(out, what)
    began = datetime.now(UTC)
    with importing():
        from cq.sweeps.door import How
        from cq.sweeps.space import axes_of
        from cq.sweeps.walkforward import Spans, walk_forward

    how = How(random, None, seed, sort, 10, None, workers)
    axes = axes_of(grid)
    setting = setting_of(app, file, overrides, start, end)
    result = (
        walk_forward(setting, axes, how, Spans(train, test, anchored, purge))
        if cpcv is None
        else _crossed(setting, axes, how, cpcv, purge)
    )
    folder = folder_of(app, result.name, what, began, out)
    _write(result, folder, what, began)
    for warning in result.warnings:
        note(f"warning: {warning}")
    if as_json:
        print_json({"folder": str(folder.resolve()), **result.as_json()})
    else:
        _print(result, folder)


def _refuse_spans() -> None:
    """UsageError where lengths were said that a cross-validation does not look at."""
    context = click.get_current_context()
    for name in ("train", "test", "anchored"):
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise UsageError(f"--cpcv cuts the period into groups of bars; leave --{name} out")


def _crossed(
    setting: Setting, axes: tuple[Axis, ...], how: How, cpcv: str, purge: str
) -> CrossValidation:
    """Every split of a cross-validation, with its progress on a terminal."""
    with importing():
        from cq.sweeps.cpcv import cross_validate
        from cq.sweeps.door import count_of
        from cq.sweeps.folds import Groups

    groups = Groups.of(cpcv)
    with progress_of(count_of(axes, how)) as tick:
        return cross_validate(setting, axes, how, groups, purge, tick)


def _write(result: WalkForward | CrossValidation, folder: Path, what: str, began: datetime) -> None:
    """What was chosen and every trial; of a walk also the curve of its tests, and their trades."""
    from cq.sweeps.result import listed, write_folder
    from cq.sweeps.walkforward import WalkForward
    from cq.utils.files import beside

    params = [one.name for one in result.axes]
    rows = listed(result.trials, params, result.identities, began)
    write_folder(folder, {f"{what}.json": result.as_json()}, rows)
    if isinstance(result, WalkForward):
        with beside(folder / "out_of_sample.parquet") as path:
            result.equity.write_parquet(path)
        with beside(folder / "out_of_sample_trades.csv") as path:
            result.trades.write_csv(path)


def _print(result: WalkForward | CrossValidation, folder: Path) -> None:
    from cq.cli.backtest import near
    from cq.sweeps.walkforward import WalkForward

    if isinstance(result, WalkForward):
        _print_walk(result)
    else:
        _print_paths(result)
    for (count, why), what in (
        (result.skipped, "combinations that make no sense"),
        (result.failed, "trials that failed"),
    ):
        if count:
            click.echo(f"{what}: {count:,}, the first: {why}")
    click.echo(f"{result.trials.height:,} trials in {near(folder)}")


def _print_walk(result: WalkForward) -> None:
    """What each fold chose and what became of it, then what all tests came to."""
    from cq.sweeps.result import column_of
    from cq.utils.time import iso

    names = [one.name for one in result.axes]
    columns = ["fold", "test from", *names, f"train {result.sort}", f"test {result.sort}", "return"]
    rows = [
        [
            row["fold"], iso(row["test_start"])[:10], *(row[column_of(name)] for name in names),
            row[f"train_{result.sort}"], row[f"test_{result.sort}"], row["test_return"],
        ]
        for row in result.folds.iter_rows(named=True)
    ]  # fmt: skip
    title = (
        f"{result.name}: {', '.join(result.symbols)}, {result.interval}; chosen by {result.sort}"
    )
    print_table(columns, rows, title)
    click.echo("")
    for line in _said_of(result):
        click.echo(line)


def _said_of(result: WalkForward) -> Iterator[str]:
    """What the tests came to, one after the other, and what that makes of the choices."""
    found = result.metrics
    shown = ("total_return", "buy_and_hold", "sharpe", "max_dd", "trades")
    said = ", ".join(f"{name} {found[name]:,.4g}" for name in shown if found[name] is not None)
    yield f"all tests, one after the other: {said}"
    if result.degradation is not None:
        yield f"{result.sort} of the tests is {result.degradation:.0%} of what was chosen by"
    if result.luck.probabilistic is not None:
        yield (
            f"PSR {result.luck.probabilistic:.1%}: how sure it is that their true Sharpe ratio "
            "lies above 0"
        )
    if result.empty:
        yield f"folds without bars to choose on or to test, passed over: {result.empty:,}"


def _print_paths(result: CrossValidation) -> None:
    """What each split chose, the histories that they make, and how often a choice was luck."""
    print_table(result.splits.columns, result.splits.rows(), f"{result.name}: every split")
    click.echo("")
    print_table(result.paths.columns, result.paths.rows(), "histories that no choice has seen")
    click.echo("")
    if result.trials.height > 1:
        click.echo(
            f"{result.overfit:.1%} of the choices are among the worse half where they are tested"
        )
